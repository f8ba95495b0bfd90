"""Opens and closes the cases of claimed places, notes hints, and reports changed bank accounts."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal

from common.calendar import add_working_days, civil_date
from common.codes import divisions
from common.events import AccountChanged, PlaceClaimed, PlaceSettled
from common.events.facts import BankAccount
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.places import Place
from ingestion.domain.standing import Outcome
from ingestion.recording.batch import AccountChange, Work
from ingestion.recording.foreign_events import has_claimed_groups, save_groups
from ingestion.recording.store import standing as store
from ingestion.recording.store.standing import PlaceCase
from ingestion.register.seed import standing_rules

CaseOutcome = Literal["confirmed", "objected", "silent", "vouched", "withdrawn"]


async def save_place_cases(tx: Tx, work: Work, instant: datetime) -> None:
    """Save the cases of all persons who were judged with their statements, and emit the events about them."""
    _emit_account_changes(tx, work, instant)
    outcomes = work.admission.outcomes
    if not outcomes:
        return
    claimed = _claimed_cases(outcomes)
    await _open_cases(tx, list(claimed.values()), instant)
    settled = await store.settle_place_cases(tx, sorted(outcomes), sorted(claimed), instant)
    await _settle_cases(tx, work, settled, instant)
    await _save_hints(tx, outcomes, instant)
    if has_claimed_groups(work):
        await save_groups(tx, work, instant, _deadline(instant))


def _emit_account_changes(tx: Tx, work: Work, instant: datetime) -> None:
    for change in work.account_changes:
        division = work.persons[change.person_id].division
        tx.emit(_changed(change, instant), change.statement.event_id, division=division)


def _deadline(instant: datetime) -> datetime:
    return instant + timedelta(days=standing_rules().case_days)


def _changed(change: AccountChange, instant: datetime) -> AccountChanged:
    value = change.statement.value
    assert isinstance(value, BankAccount)
    return AccountChanged(
        person_id=change.person_id,
        event_id=change.statement.event_id,
        before=change.before,
        source=change.statement.source,
        holder=value.holder,
        changed_at=instant,
    )


async def _save_hints(tx: Tx, outcomes: Mapping[str, Outcome], instant: datetime) -> None:
    ends_on = civil_date(instant) + timedelta(days=standing_rules().hint_days)
    hints = [(chain, person_id) for person_id, outcome in outcomes.items() for chain in outcome.counting_as("hint")]
    await store.insert_hints(tx, hints, ends_on)


# ── opened cases ────────────────────────────────────────────────────────────────────────────────────────────


def _claimed_cases(outcomes: Mapping[str, Outcome]) -> dict[str, PlaceCase]:
    """The cases of all places that these persons have claimed now, by id."""
    found: dict[str, PlaceCase] = {}
    for person_id, outcome in outcomes.items():
        for place in outcome.claimed_places:
            case = _case(person_id, place, outcome.standing.home)
            found[case.case_id] = case
    return found


def _case(person_id: str, place: Place, home: str | None) -> PlaceCase:
    kind = "registration" if place.hukou else "residence"
    case_id, left = derived_id("place", place.chain, place.division), _county_left(place, home)
    return PlaceCase(case_id, person_id, place.chain, place.source.urn, kind, place.division, left)


def _county_left(place: Place, home: str | None) -> str:
    """The person's home county; if none is known, the area above the area of the source."""
    return home or divisions.parent(place.source.area) or divisions.NATION


async def _open_cases(tx: Tx, claimed: Sequence[PlaceCase], instant: datetime) -> None:
    silent_on = _silent_on(civil_date(instant))
    opened = await store.insert_place_cases(tx, claimed, instant, _deadline(instant), silent_on)
    for case in claimed:
        if case.case_id in opened:
            tx.emit(_claimed(case, instant, silent_on), case.chain, division=case.county_left)


def _silent_on(today: date) -> date:
    """The day after the last working day on which the county left may object."""
    return add_working_days(today, standing_rules().silence_working_days) + timedelta(days=1)


def _claimed(case: PlaceCase, instant: datetime, silent_on: date) -> PlaceClaimed:
    return PlaceClaimed(
        case_id=case.case_id,
        person_id=case.person_id,
        event_id=case.chain,
        source=case.source,
        kind=case.kind,
        division=case.division,
        county_left=case.county_left,
        owner=case.county_left,
        opened_at=instant,
        silent_on=silent_on,
    )


# ── settled cases ───────────────────────────────────────────────────────────────────────────────────────────


async def _settle_cases(tx: Tx, work: Work, settled: Sequence[store.SettledCase], instant: datetime) -> None:
    """Emit `PlaceSettled` for each closed case, and store its outcome."""
    by_outcome: dict[CaseOutcome, list[str]] = {}
    for case in settled:
        outcome = _outcome_of_case(work.admission.outcomes[case.person_id], case)
        by_outcome.setdefault(outcome, []).append(case.case_id)
        tx.emit(_settled(case, outcome, instant), case.chain, division=work.persons[case.person_id].division)
    await _name_outcomes(tx, by_outcome)


async def _name_outcomes(tx: Tx, case_ids: Mapping[CaseOutcome, Sequence[str]]) -> None:
    """Store each outcome other than `vouched`: the cases were closed as `vouched` before."""
    for outcome in case_ids.keys() - {"vouched"}:
        await store.name_outcome(tx, case_ids[outcome], outcome)


def _settled(case: store.SettledCase, outcome: CaseOutcome, instant: datetime) -> PlaceSettled:
    return PlaceSettled(case_id=case.case_id, person_id=case.person_id, outcome=outcome, settled_at=instant)


def _outcome_of_case(outcome: Outcome, case: store.SettledCase) -> CaseOutcome:
    """Why a case is closed. A chain that states another place by now has withdrawn this one."""
    place = outcome.places.get(case.chain)
    ruling = outcome.standing.ruling_on(case.chain, case.division)
    if ruling is not None:
        return ruling.outcome
    return "vouched" if place is not None and place.division == case.division else "withdrawn"
