"""Opens and closes the cases of claimed places, notes hints, and reports changed bank accounts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from common.calendar import add_working_days, civil_date
from common.codes import divisions
from common.events import AccountChanged, PlaceClaimed, PlaceSettled
from common.events.facts import BankAccount
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.places import Place
from ingestion.domain.standing import Outcome
from ingestion.recording.batch import Work
from ingestion.recording.foreign_events import has_claimed_groups, save_groups
from ingestion.recording.store import standing as store
from ingestion.recording.store.standing import PlaceCase
from ingestion.register.sources import standing_rules

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
    ends_on = civil_date(instant) + timedelta(days=standing_rules().hint_days)
    await store.insert_hints(tx, _hints(outcomes), ends_on)
    if has_claimed_groups(work):
        await save_groups(tx, work, instant, instant + timedelta(days=standing_rules().case_days))


def _emit_account_changes(tx: Tx, work: Work, instant: datetime) -> None:
    for changed in work.account_changes:
        value = changed.statement.value
        assert isinstance(value, BankAccount)
        event = AccountChanged(
            person_id=changed.person_id,
            event_id=changed.statement.event_id,
            before=changed.before,
            source=changed.statement.source,
            holder=value.holder,
            changed_at=instant,
        )
        tx.emit(event, changed.statement.event_id, division=work.persons[changed.person_id].division)


def _hints(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str]]:
    """Chain and person of each hint."""
    found = []
    for person_id, outcome in outcomes.items():
        for chain, verdict in outcome.verdicts.items():
            if verdict.counts_as == "hint":
                found.append((chain, person_id))
    return found


# ── opened cases ────────────────────────────────────────────────────────────────────────────────────────────


def _claimed_cases(outcomes: Mapping[str, Outcome]) -> dict[str, PlaceCase]:
    """The cases of all places that these persons have claimed now, by id."""
    found: dict[str, PlaceCase] = {}
    for person_id, outcome in outcomes.items():
        for chain, verdict in outcome.verdicts.items():
            place = outcome.places.get(chain)
            if verdict.counts_as == "claimed" and place is not None:
                case = _case(person_id, place, outcome.standing.home)
                found[case.case_id] = case
    return found


def _case(person_id: str, place: Place, home: str | None) -> PlaceCase:
    county_left = home or divisions.parent(place.source.area) or divisions.NATION
    kind = "registration" if place.hukou else "residence"
    case_id = derived_id("place", place.chain, place.division)
    return PlaceCase(case_id, person_id, place.chain, place.source.urn, kind, place.division, county_left)


async def _open_cases(tx: Tx, claimed: Sequence[PlaceCase], instant: datetime) -> None:
    rules, today = standing_rules(), civil_date(instant)
    silent_on = add_working_days(today, rules.silence_working_days) + timedelta(days=1)  # the day after the last one
    deadline = instant + timedelta(days=rules.case_days)
    opened = await store.insert_place_cases(tx, claimed, instant, deadline, silent_on)
    for case in claimed:
        if case.case_id not in opened:
            continue
        event = PlaceClaimed(
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
        tx.emit(event, case.chain, division=case.county_left)


# ── settled cases ───────────────────────────────────────────────────────────────────────────────────────────


async def _settle_cases(tx: Tx, work: Work, settled: Sequence[store.SettledCase], instant: datetime) -> None:
    by_outcome: dict[CaseOutcome, list[str]] = {}
    for case in settled:
        outcome = _outcome_of_case(work.admission.outcomes[case.person_id], case)
        by_outcome.setdefault(outcome, []).append(case.case_id)
        event = PlaceSettled(case_id=case.case_id, person_id=case.person_id, outcome=outcome, settled_at=instant)
        tx.emit(event, case.chain, division=work.persons[case.person_id].division)
    for outcome in by_outcome.keys() - {"vouched"}:
        await store.name_outcome(tx, by_outcome[outcome], outcome)


def _outcome_of_case(outcome: Outcome, case: store.SettledCase) -> CaseOutcome:
    """Why a case is closed. A chain that states another place by now has withdrawn this one."""
    for ruling in outcome.standing.rulings:
        if ruling.chain == case.chain and ruling.division == case.division:
            return ruling.outcome
    place = outcome.places.get(case.chain)
    return "vouched" if place is not None and place.division == case.division else "withdrawn"
