"""Update the cases that follow from a decision about a person: gaps of moves, and open matters."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from common.calendar import parse_month
from common.codes.divisions import NATION
from common.events import MoveGap
from shell.store.transaction import Tx

from supervision import cases
from supervision.cases import Causes
from supervision.checks import checks
from supervision.domain.alerts import Finding
from supervision.domain.gaps import CHECK, Gap, subject_of
from supervision.domain.matters import Matter, matters_of
from supervision.domain.received import ReceivedEvent
from supervision.store import gaps, matters, people
from supervision.store.matters import NewMatter, StoredMatter

Current = Mapping[str, ReceivedEvent]  # by person the decision that is not older than the stored one


async def _current_decisions(tx: Tx, newest: Sequence[ReceivedEvent], touched: set[str]) -> Current:
    """The decisions about touched persons that are not older than the stored ones."""
    versions = await people.load_versions(tx, sorted(touched))
    current: dict[str, ReceivedEvent] = {}
    for event in newest:
        person_id = event.data.person_id
        if person_id in touched and versions.get(person_id, 0) <= event.data.version:
            current[person_id] = event
    return current


async def update_gaps(tx: Tx, newest: Sequence[ReceivedEvent], now: datetime, causes: Causes) -> None:
    """Open or withdraw the cases of move gaps after new decisions. `newest`: the newest decision of each person in the
    batch. A decision older than the stored one is ignored, so a replay opens no case again."""
    open_gaps = await gaps.list_open(tx, [event.data.person_id for event in newest])
    touched = {gap.person_id for gap in open_gaps} | {event.data.person_id for event in newest if event.data.gaps}
    if not touched:
        return  # nearly always
    current = await _current_decisions(tx, newest, touched)
    found: dict[str, tuple[ReceivedEvent, MoveGap]] = {}
    for person_id, event in current.items():
        for gap in event.data.gaps:
            found[subject_of(person_id, gap)] = event, gap
    over = [(CHECK, gap.subject) for gap in open_gaps if gap.person_id in current and gap.subject not in found]
    await cases.withdraw_alerts(tx, over, "dismissed", "空档已不存在", now, causes)
    findings = [_finding(subject, event, gap) for subject, (event, gap) in found.items()]
    await cases.raise_alerts(tx, findings, now, causes)
    await gaps.upsert_gaps(tx, [_gap(subject, event, gap) for subject, (event, gap) in found.items()])


def _finding(subject: str, event: ReceivedEvent, gap: MoveGap) -> Finding:
    return cases.new_finding(
        CHECK,
        subject,
        event.data.person_id,
        division=gap.left,
        correlation_id=event.correlation_id,
        other_division=gap.moved_to,
    )


def _gap(subject: str, event: ReceivedEvent, gap: MoveGap) -> Gap:
    return Gap(
        cases.alert_id(CHECK, subject),
        event.data.person_id,
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


async def update_matters(tx: Tx, newest: Sequence[ReceivedEvent], now: datetime, causes: Causes) -> None:
    """Store new open matters after new decisions, and delete ended ones. The alerts of these are withdrawn.

    `newest`: the newest decision of each person in the batch. A decision older than the stored one is ignored.
    """
    with_matters = {event.data.person_id for event in newest if _matters_of(event)}
    stored = await matters.lock_matters(tx, [event.data.person_id for event in newest])
    touched = with_matters | {matter.person_id for matter in stored}
    if not touched:
        return  # nearly always
    current = await _current_decisions(tx, newest, touched)
    found = [matter for event in current.values() for matter in _matters_of(event)]
    over = [row for row in stored if row.person_id in current and not _among(row, found)]
    await matters.delete_matters(tx, over)
    await matters.upsert_matters(tx, [_new_matter(m, current) for m in found])
    await _withdraw(tx, over, current, now, causes)


async def _withdraw(tx: Tx, over: Sequence[StoredMatter], current: Current, now: datetime, causes: Causes) -> None:
    """Withdraw the alerts of ended matters. A confirmed death confirms an alert; other changes dismiss it."""
    ended: list[tuple[str, str]] = []
    dismissed: list[tuple[str, str]] = []
    for matter in over:
        died = current[matter.person_id].data.died_on is not None
        (ended if died else dismissed).append((matter.check_id, matter.subject))
    await cases.withdraw_alerts(tx, dismissed, "dismissed", "已有新的事实，情况不再存在", now, causes)
    await cases.withdraw_alerts(tx, ended, "confirmed", "身故已确认", now, causes)


def _matters_of(event: ReceivedEvent) -> list[Matter]:
    decision = event.data
    if decision.death_suspected_on is None and decision.circumstances is None:
        return []  # nearly always
    return matters_of(decision, event.event_id, event.time, checks().matter_limits)


def _among(row: StoredMatter, found: Sequence[Matter]) -> bool:
    return any(_is_of(row, matter) for matter in found)


def _is_of(row: StoredMatter, matter: Matter) -> bool:
    return row.person_id == matter.person_id and matter.continues(row.check_id, row.subject)


def _new_matter(matter: Matter, current: Current) -> NewMatter:
    """Return a matter to store. Its alert goes to the area where the person lives: the residence, else the hukou, else
    the nation."""
    event = current[matter.person_id]
    division = event.data.residence or event.data.hukou or NATION
    return NewMatter.of(matter, division, event.correlation_id)
