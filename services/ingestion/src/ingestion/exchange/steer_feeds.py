"""`POST /v1/feeds/{feed}/run` reads a table now. `POST /v1/feeds/{feed}/confirm` confirms the missing rows."""

from typing import Annotated

from common.errors import Conflict
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.exchange.feed_access import find_feed
from ingestion.exchange.feeds import Setup
from ingestion.exchange.shapes import ConfirmMissingIn, FeedName, FeedOut, RunFeedIn, feed_out
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.store.feeds import StoredRun

router = APIRouter(tags=["feeds"])
Officer = Annotated[Caller, Depends(require("officer"))]


@router.post("/v1/feeds/{feed}/run", status_code=202, summary="Read a front-end table now")
async def run_feed(feed: FeedName, body: RunFeedIn, caller: Officer, db: Db) -> FeedOut:
    """The next run begins as soon as the job is free for it. Several requests before it begins are one; `from_start`
    applies if one of them asks for it. During a run, only a request with `from_start` starts another run."""
    setup = _find_own(feed, caller)
    if setup.feed.status == "example":
        raise Conflict("an example is never read", code="feed_is_example")
    async with db.transaction() as tx:
        await store.enter(tx.sql, [feed])
        await store.ask_for_run(tx, feed, body.from_start, clock.now())
        return await _load_out(tx, setup)


@router.post("/v1/feeds/{feed}/confirm", status_code=202, summary="Confirm that the missing rows are right")
async def confirm_missing(feed: FeedName, body: ConfirmMissingIn, caller: Officer, db: Db) -> FeedOut:
    """Audited. The facts of the missing rows end now. If the rows are missing by mistake, repair the table instead:
    the next run that finds the rows continues without a confirmation."""
    setup = _find_own(feed, caller)
    async with db.transaction() as tx:
        run = await _lock_held_run(tx, feed)
        if run.missing != body.missing:
            raise Conflict(f"{run.missing} rows are missing now: check again", code="missing_changed")
        await store.confirm_run(tx, feed, run.run, caller.user, clock.now())
        await audits.append(tx, caller, act="feed_confirmed", purpose=body.reason, cause=f"{feed}/{run.run}")
        return await _load_out(tx, setup)


async def _lock_held_run(tx: Tx, feed: str) -> StoredRun:
    stored = await store.lock_feed(tx, feed)
    if stored is None or stored.state != "held":
        raise Conflict("this feed does not wait for a confirmation", code="feed_not_held")
    return await store.load_run(tx.sql, feed, stored.run)


def _find_own(feed: str, caller: Caller) -> Setup:
    """Return the feed with this name. Raises NotFound, and NotAllowed for an officer of another area."""
    setup = find_feed(feed, caller)
    caller.need_area(setup.area)
    return setup


async def _load_out(tx: Tx, setup: Setup) -> FeedOut:
    name = setup.feed.feed
    stored = await store.load_feed(tx.sql, name)
    runs = await store.load_newest_runs(tx.sql, [name])
    rejects = await feed_rows.count_rejects(tx.sql, [name])
    return feed_out(setup, stored, runs.get(name), rejects.get(name, 0))
