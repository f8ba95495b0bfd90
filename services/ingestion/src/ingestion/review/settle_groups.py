"""The job that settles the rows of groups that two officers have decided, in bounded steps.

Each step is one transaction and takes rows that are still open, so the job continues where it stopped. The decision
also settles rows that join the group later on the same day, so a group stays `settling` until its day is over. One
exception protects from an unseen death or account: a release of a strict kind covers only the rows that had arrived
when the officers decided. Later rows open the group again.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from common.calendar import civil_date, start_of_day
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.standing_state import Grant, PlaceRuling
from ingestion.recording.batch import Request
from ingestion.recording.locks import load
from ingestion.recording.recorder import decide_again
from ingestion.register.seed import standing_rules
from ingestion.review.store import groups as store
from ingestion.review.store import place_cases
from ingestion.review.store.groups import EventKey, Group

log = logging.getLogger(__name__)
STEP_MAX: Final = 200
GROUPS_MAX: Final = 100
# A transaction that began before midnight adds its rows within this time.
GRACE: Final = timedelta(hours=1)


async def settle_groups(database: Database) -> int:
    """Settle at most STEP_MAX open rows of the group that was decided first. Returns how many rows it looked at."""
    async with database.transaction() as tx:
        now = clock.now()
        for group in await store.list_settling(tx, GROUPS_MAX):
            settle = _settle_places if group.holds == "places" else _settle_events
            done = await settle(tx, group, now)
            if done:
                return done
            await _finish(tx, group, now)
    return 0


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _settle_events(tx: Tx, group: Group, now: datetime) -> int:
    """Settle some events of a group. Returns how many rows it looked at."""
    rows = await store.list_open_events(tx, group.group_id, _covered_until(group), STEP_MAX)
    if not rows:
        return 0
    await load(tx, {}, Request(person_ids={row.person_id for row in rows}))  # locks what a decision locks
    still_open = await store.list_still_open(tx, [row.event_id for row in rows])  # others were settled meanwhile
    if still_open:
        settle = _release if group.outcome == "release" else _discard
        await store.add_done(tx, group.group_id, await settle(tx, group, _by_person(still_open), now))
    return len(rows)


def _covered_until(group: Group) -> datetime | None:
    """The instant by which a row must have arrived to be covered by the decision; None: all rows are covered."""
    strict = group.kind in standing_rules().strict and group.outcome == "release"
    return group.decided_at if strict else None


def _by_person(rows: Sequence[EventKey]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.person_id, []).append(row.event_id)
    return found


async def _release(tx: Tx, group: Group, events: Mapping[str, list[str]], now: datetime) -> int:
    """Release events; return how many of them take effect now. `events`: event ids by person."""
    grants = dict.fromkeys(events, _grants(group))
    request = Request(person_ids=sorted(events), exempt=events, grants=grants, by=group.settled_by)
    await decide_again(tx, request, now)
    return await store.note_released(tx, [i for ids in events.values() for i in ids], group.reason)


def _grants(group: Group) -> tuple[Grant, ...]:
    """The right that the decision gives to the source, if any."""
    if group.grant_days is None or group.decided_at is None:
        return ()
    until = civil_date(group.decided_at) + timedelta(days=group.grant_days)
    return (Grant(group.source, group.kind, until.toordinal()),)


async def _discard(tx: Tx, group: Group, events: Mapping[str, list[str]], now: datetime) -> int:
    """Discard events; return their number. `events`: event ids by person."""
    ids = [i for found in events.values() for i in found]
    await store.discard_events(tx, ids, now, group.settled_by, group.reason)
    await decide_again(tx, Request(person_ids=sorted(events), by=group.settled_by), now)
    return len(ids)


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _settle_places(tx: Tx, group: Group, now: datetime) -> int:
    """Settle some places of a group, at most one per person. Returns the number of these persons."""
    rows = await store.list_open_places(tx, group.group_id, STEP_MAX)
    if not rows:
        return 0
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.person_id, row.case_id)
    await load(tx, {}, Request(person_ids=first))  # locks what a decision locks, in the same order
    cases = await place_cases.lock_open(tx, list(first.values()))
    outcome: Literal["confirmed", "objected"] = "confirmed" if group.outcome == "release" else "objected"
    places = {c.person_id: PlaceRuling(c.chain, c.division, outcome) for c in cases.values()}
    if places:
        await decide_again(tx, Request(person_ids=sorted(places), places=places, by=group.settled_by), now)
        await place_cases.note_decision(tx, list(cases), group.settled_by, group.reason)
        await store.add_done(tx, group.group_id, len(cases))
    return len(first)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _finish(tx: Tx, group: Group, now: datetime) -> None:
    """Close the group once its day is over, or open it again for rows that the decision does not cover."""
    if now < start_of_day(group.day + timedelta(days=1)) + GRACE:
        return
    if group.holds == "events" and await store.list_open_events(tx, group.group_id, None, 1):
        await store.reopen(tx, group.group_id, now + timedelta(days=standing_rules().case_days))
        log.warning("group %s is open again: rows came after the decision", group.group_id)
        return
    await store.close(tx, group.group_id, now)
    log.info("group %s is settled", group.group_id)
