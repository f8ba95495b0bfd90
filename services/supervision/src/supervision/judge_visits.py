"""Follow every visit; judge it when it is done."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from supervision import cases
from supervision.domain.alerts import Finding
from supervision.domain.events import TASK_STATES
from supervision.intake import Sighting
from supervision.store import visits as store
from supervision.verdicts import judge

WAITING_MAX: Final = 500
_AT_HOME: Final = ("stay", "seen")  # reason and outcome: an open hospital stay is contradicted


async def on_visit_steps(sightings: Sequence[Sighting], tx: Tx) -> None:
    last: dict[str, Sighting] = {}
    for s in sightings:
        before = last.get(s.data.task_id)
        if before is None or _weight(s) >= _weight(before):
            last[s.data.task_id] = s
    turned = await store.upsert_tasks(tx, [_row(s) for s in last.values()])
    now = clock.now()
    if turned:
        await _settle_unplaced(tx, turned, last, now)
    done = {s.data.person_id: s.message() for s in sightings if s.what == "VisitCheckedOut"}
    if done:
        await judge(tx, {s.data.task_id for s in sightings if s.what == "VisitCheckedOut"}, now, done)
    missed = [s for s in sightings if s.what == "VisitMissed"]
    await cases.raise_alerts(tx, [_missed(s) for s in missed], now, {s.data.person_id: s.message() for s in missed})
    home = [s for s in sightings if s.what == "VisitCheckedOut" and (s.data.reason, s.data.outcome) == _AT_HOME]
    await cases.raise_alerts(tx, [_contradicted(s) for s in home], now, {s.data.person_id: s.message() for s in home})


async def _settle_unplaced(
    tx: Tx, turned: Sequence[tuple[str, bool]], last: Mapping[str, Sighting], now: datetime
) -> None:
    """An urgent task that no provider can be asked for is an alert until a provider is asked or the task ends.
    `turned`: as `upsert_tasks` returns it."""
    causes = {last[task_id].data.person_id: last[task_id].message() for task_id, _ in turned}
    found = [_unplaced(last[task_id]) for task_id, unplaced in turned if unplaced]
    over = [("visit_unplaced", task_id) for task_id, unplaced in turned if not unplaced]
    await cases.raise_alerts(tx, found, now, causes)
    await cases.withdraw_alerts(tx, over, "confirmed", "已派给机构或任务已了结", now, causes)


def _weight(s: Sighting) -> tuple[bool, str]:
    """The check-out is the last word about a visit; otherwise the newest is."""
    return (s.what == "VisitCheckedOut", s.at)


def _row(s: Sighting) -> tuple[object, ...]:
    v = s.data
    out = v.checked_out_at if s.what == "VisitCheckedOut" else None
    return (
        v.task_id,
        v.person_id,
        v.item,
        v.division,
        v.provider,
        v.window_from,
        v.window_to,
        TASK_STATES[s.what],
        s.at,
        v.checked_in_at,
        out,
        v.worker,
        v.outcome,
        s.correlation_id,
        v.reason if out else None,
    )


def _unplaced(s: Sighting) -> Finding:
    v = s.data
    return Finding("visit_unplaced", "warn", v.task_id, v.person_id, None, v.division, s.correlation_id)


def _contradicted(s: Sighting) -> Finding:
    """The provider has done its part: the case is the officer's, who has the stay corrected or ended."""
    v = s.data
    return Finding("stay_contradicted", "warn", v.task_id, v.person_id, None, v.division, s.correlation_id)


def _missed(s: Sighting) -> Finding:
    v = s.data
    return Finding("visit_missed", "warn", v.task_id, v.person_id, v.provider, v.division, s.correlation_id)


async def judge_waiting(database: Database) -> int:
    """Visits that wait for their entitlement: once the time is over, its absence is a finding."""
    now: datetime = clock.now()
    async with database.transaction() as tx:
        return await judge(tx, await store.list_waiting(tx, WAITING_MAX), now, {})
