"""Months that two lists leave to nobody when somebody moves: one case for both areas, as long as there is the gap."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from common.calendar import parse_month
from common.events import Event, MoveGap
from common.message import Message, derived_id
from shell.store.transaction import Tx

from supervision import cases
from supervision.domain.alerts import Finding
from supervision.intake import Sighting
from supervision.store import gaps as store
from supervision.store import people

CHECK: Final = "move_gap"


def subject_of(person_id: str, gap: MoveGap) -> str:
    """The same while only the months change, or what keeps the new area from paying."""
    return derived_id(CHECK, person_id, gap.item, gap.old, gap.moved_on.isoformat())


async def settle_gaps(tx: Tx, newest: Sequence[Sighting], now: datetime, causes: Mapping[str, Message[Event]]) -> None:
    """`newest`: the newest decision of each person in the batch. Those that are older than what is stored say nothing,
    so that a replay opens no case that is over."""
    open_ = await store.list_open(tx, [s.data.person_id for s in newest])
    touched = {row["person_id"] for row in open_} | {s.data.person_id for s in newest if s.data.gaps}
    if not touched:
        return  # nearly always
    stored = await people.load_versions(tx, sorted(touched))
    told = {s.data.person_id: s for s in newest if stored.get(s.data.person_id, 0) <= s.data.version}
    found = {subject_of(p, gap): (s, gap) for p, s in told.items() for gap in s.data.gaps}
    over = [(CHECK, r["subject"]) for r in open_ if r["person_id"] in told and r["subject"] not in found]
    await cases.withdraw_alerts(tx, over, "dismissed", "空档已不存在", now, causes)
    await cases.raise_alerts(tx, [_finding(subject, s, gap) for subject, (s, gap) in found.items()], now, causes)
    await store.upsert_gaps(tx, [_row(subject, s.data.person_id, gap) for subject, (s, gap) in found.items()])


def _finding(subject: str, s: Sighting, gap: MoveGap) -> Finding:
    return Finding(
        CHECK,
        "warn",
        subject,
        s.data.person_id,
        division=gap.left,
        correlation_id=s.correlation_id,
        other_division=gap.moved_to,
    )


def _row(subject: str, person_id: str, gap: MoveGap) -> tuple[Any, ...]:
    return (
        cases.alert_id(CHECK, subject),
        person_id,
        gap.item,
        gap.old,
        gap.left,
        gap.moved_to,
        gap.moved_on,
        parse_month(gap.first_month),
        parse_month(gap.until_month) if gap.until_month else None,
        gap.new,
        gap.old_policy,
        gap.why,
    )
