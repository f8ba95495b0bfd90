"""Open matters follow the decisions: they begin, go on and end with them, and an ended one takes its alert along."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common.codes.divisions import NATION
from common.events import Event
from common.message import Message
from shell.store.transaction import Tx

from supervision import cases
from supervision.checks import checks
from supervision.domain.matters import Matter, hold_of, open_stay_of
from supervision.intake import Sighting
from supervision.store import matters as store
from supervision.store import people


async def settle_matters(
    tx: Tx, newest: Sequence[Sighting], now: datetime, causes: Mapping[str, Message[Event]]
) -> None:
    """`newest`: the newest decision of each person in the batch. A decision older than the stored one says nothing."""
    told = {m.person_id: s for s in newest for m in _matters_of(s)}
    stored = await store.list_matters(tx, [s.data.person_id for s in newest])
    touched = told.keys() | {row["person_id"] for row in stored}
    if not touched:
        return  # nearly always
    versions = await people.load_versions(tx, sorted(touched))
    current = {
        s.data.person_id: s
        for s in newest
        if s.data.person_id in touched and versions.get(s.data.person_id, 0) <= s.data.version
    }
    found = [m for s in current.values() for m in _matters_of(s)]
    over = [row for row in stored if row["person_id"] in current and not _goes_on(row, found)]
    fresh = [m for m in found if not any(_is_of(row, m) for row in stored)]
    await store.delete_matters(tx, [(row["person_id"], row["check_id"]) for row in over])
    await store.insert_matters(tx, [(*m, _division(current[m.person_id]), _change(current, m)) for m in fresh])
    for died in (False, True):
        gone = [
            (row["check_id"], row["subject"])
            for row in over
            if (current[row["person_id"]].data.died_on is not None) is died
        ]
        outcome, reason = ("confirmed", "身故已确认") if died else ("dismissed", "已有新的事实，情况不再存在")
        await cases.withdraw_alerts(tx, gone, outcome, reason, now, causes)


def _matters_of(s: Sighting) -> list[Matter]:
    d = s.data
    if d.died_on is not None or d.merged_into is not None:
        return []
    if d.death_suspected_on is None and d.circumstances is None:
        return []  # nearly everybody
    days = checks().overdue_days
    found: list[Matter] = []
    if d.death_suspected_on is not None:
        found.append(hold_of(d.person_id, s.event_id, s.time, days.hold))
    if d.circumstances is not None:
        certain = [s for s in d.circumstances.in_hospital if not s.hint]  # a hint pauses no visits and ends by itself
        stay = open_stay_of(d.person_id, certain, d.entitlements, s.time, days.open_stay)
        found += [stay] if stay is not None else []
    return found


def _goes_on(row: Any, found: Sequence[Matter]) -> bool:
    return any(_is_of(row, matter) for matter in found)


def _is_of(row: Any, matter: Matter) -> bool:
    return row["person_id"] == matter.person_id and matter.continues(row["check_id"], row["subject"])


def _division(s: Sighting) -> str:
    """The area whose officers hold the case; the nation for a person of whom no place is known."""
    return s.data.residence or s.data.hukou or NATION


def _change(current: Mapping[str, Sighting], matter: Matter) -> str:
    return current[matter.person_id].correlation_id
