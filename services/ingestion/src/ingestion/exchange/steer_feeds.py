"""`POST /v1/feeds/{feed}/run` reads a table now; `…/confirm` says that the missing rows are right."""

from typing import Annotated

from common.errors import Conflict
from fastapi import APIRouter, Depends, Path
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Body, Reason, Sequence
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store as audits
from ingestion.exchange.feeds import Setup
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.views import Feed, find, shown

router = APIRouter(tags=["feeds"])
FeedName = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,40}$", examples=["qujing_disability"])]
Officer = Annotated[Caller, Depends(require("officer"))]


class RunWish(Body):
    """`from_start`: read the whole table again. Rows that say what they said before change nothing."""

    from_start: bool = False


class Confirmation(Body):
    """`missing`: the number of missing rows as it was shown, so that nobody confirms another one."""

    missing: Sequence
    reason: Reason


@router.post("/v1/feeds/{feed}/run", status_code=202, summary="Read a front-end table now")
async def run_feed(feed: FeedName, body: RunWish, caller: Officer, db: Db) -> Feed:
    """Asked twice it is read once."""
    setup = _mine(feed, caller)
    if setup.feed.status == "example":
        raise Conflict("an example is never read", code="feed_is_example")
    async with db.transaction() as tx:
        await store.enter(tx.sql, [feed])
        await store.ask_for_run(tx, feed, body.from_start, clock.now())
        return await _shown(tx, setup)


@router.post("/v1/feeds/{feed}/confirm", status_code=202, summary="Say that the missing rows are right")
async def confirm_missing(feed: FeedName, body: Confirmation, caller: Officer, db: Db) -> Feed:
    """Audited. What the missing rows said comes to its end now. To refuse, mend the table: the next reading that finds
    the rows lifts the hold by itself."""
    setup = _mine(feed, caller)
    async with db.transaction() as tx:
        row = await store.lock_feed(tx, feed)
        if row is None or row["state"] != "held":
            raise Conflict("nothing of this feed waits for a confirmation", code="feed_not_held")
        run = await store.load_run(tx.sql, feed, row["run"])
        if run["missing"] != body.missing:
            raise Conflict(f"{run['missing']} rows are missing by now: look again", code="missing_changed")
        now = clock.now()
        await store.confirm_run(tx, feed, row["run"], caller.subject, now)
        await audits.append_audit(
            tx, caller, clock.real_now(), action="feed_confirmed", purpose=body.reason, cause=f"{feed}/{row['run']}"
        )
        return await _shown(tx, setup)


def _mine(feed: str, caller: Caller) -> Setup:
    setup = find(feed, caller)
    caller.need_area(setup.area)
    return setup


async def _shown(tx: Tx, setup: Setup) -> Feed:
    name = setup.feed.feed
    row = await store.load_feed(tx.sql, name)
    run = await store.load_run(tx.sql, name, row["run"])
    rejects = await feed_rows.count_rejects(tx.sql, [name])
    return shown(setup, row, run, rejects.get(name, 0))
