"""The job that settles the rows of groups that two officers have decided, in bounded steps.

Each step is one transaction and takes rows that are still open, so the job goes on where it stopped. A row of the same
day that joins the group later is settled by the same decision, so a group stays `settling` until its day is over. One
exception keeps an unseen death or account from taking effect: a release of a strict kind covers only the rows that
were there when the officers decided. Later rows open the group again.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from common.calendar import civil_date, start_of_day
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.memory import Decided, Grant
from ingestion.recording.batch import Request, load
from ingestion.recording.core import decide_again
from ingestion.register.seed import standing_rules
from ingestion.review.store import groups as store
from ingestion.review.store import place_cases

log = logging.getLogger(__name__)
STEP_MAX: Final = 200
GROUPS_MAX: Final = 100
# A transaction that began before midnight adds its rows within this time.
GRACE: Final = timedelta(hours=1)


async def settle_groups(database: Database) -> int:
    """One bounded step of the oldest decision that has something left; returns how many rows it looked at."""
    async with database.transaction() as tx:
        now = clock.now()
        for group in await store.list_settling(tx, GROUPS_MAX):
            done = await (_settle_places if group["holds"] == "places" else _settle_events)(tx, group, now)
            if done:
                return done
            await _finish(tx, group, now)
    return 0


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _settle_events(tx: Tx, group: Any, now: datetime) -> int:
    rows = await store.list_open_events(tx, group["group_id"], _covered_until(group), STEP_MAX)
    if not rows:
        return 0
    await load(tx, {}, Request(person_ids={row["person_id"] for row in rows}))  # the locks, as recording takes them
    open_ = _by_person(await store.still_open(tx, [row["event_id"] for row in rows]))  # others were settled meanwhile
    if open_:
        settle = _release if group["outcome"] == "release" else _discard
        await store.add_done(tx, group["group_id"], await settle(tx, group, open_, now))
    return len(rows)


def _covered_until(group: Any) -> datetime | None:
    """Until when rows may have arrived to be covered by the decision; None: all of them."""
    strict = group["kind"] in standing_rules().strict and group["outcome"] == "release"
    return group["decided_at"] if strict else None


def _by_person(rows: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["person_id"], []).append(row["event_id"])
    return found


async def _release(tx: Tx, group: Any, events: Mapping[str, list[str]], now: datetime) -> int:
    """Returns how many events take effect now."""
    grants: dict[str, tuple[Grant, ...]] = {}
    if group["grant_days"] is not None:
        until = civil_date(group["decided_at"]) + timedelta(days=group["grant_days"])
        grants = dict.fromkeys(events, (Grant(group["source"], group["kind"], until.toordinal()),))
    request = Request(person_ids=sorted(events), exempt=events, grants=grants, by=group["settled_by"])
    await decide_again(tx, request, now)
    return await store.note_released(tx, [i for ids in events.values() for i in ids], group["reason"])


async def _discard(tx: Tx, group: Any, events: Mapping[str, list[str]], now: datetime) -> int:
    ids = [i for found in events.values() for i in found]
    await store.discard_events(tx, ids, now, group["settled_by"], group["reason"])
    await decide_again(tx, Request(person_ids=sorted(events), by=group["settled_by"]), now)
    return len(ids)


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _settle_places(tx: Tx, group: Any, now: datetime) -> int:
    """One place per person and step."""
    rows = await store.list_open_places(tx, group["group_id"], STEP_MAX)
    if not rows:
        return 0
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["person_id"], row["case_id"])
    await load(tx, {}, Request(person_ids=first))  # the locks in the order in which recording takes them
    cases = await place_cases.lock_open(tx, list(first.values()))
    outcome: Literal["confirmed", "objected"] = "confirmed" if group["outcome"] == "release" else "objected"
    places = {c["person_id"]: Decided(c["chain"], c["division"], outcome) for c in cases.values()}
    if places:
        await decide_again(tx, Request(person_ids=sorted(places), places=places, by=group["settled_by"]), now)
        await place_cases.note_decision(tx, list(cases), group["settled_by"], group["reason"])
        await store.add_done(tx, group["group_id"], len(cases))
    return len(first)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _finish(tx: Tx, group: Any, now: datetime) -> None:
    """Close the group once its day is over, or open it again for rows that the decision does not cover."""
    if now < start_of_day(group["day"] + timedelta(days=1)) + GRACE:
        return
    group_id = group["group_id"]
    if group["holds"] == "events" and await store.list_open_events(tx, group_id, None, 1):
        await store.reopen(tx, group_id, now + timedelta(days=standing_rules().case_days))
        log.warning("group %s is open again: rows came after the decision", group_id)
        return
    await store.close(tx, group_id, now)
    log.info("group %s is settled", group_id)
