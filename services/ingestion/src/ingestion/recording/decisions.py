"""Decides a loaded batch: it changes the persons and households in memory. Only `recording.storage` writes them."""

from collections.abc import Sequence
from datetime import date, datetime

from shell.store.transaction import Tx

from ingestion.domain.chains import place_events
from ingestion.domain.household import Entry, chain_of_list
from ingestion.domain.identity import Circles, settle_circles
from ingestion.domain.person import remember_name, same_moment
from ingestion.domain.pushed import Pushed
from ingestion.recording import identities, standings
from ingestion.recording.admission import AdmissionTest
from ingestion.recording.batch import Work
from ingestion.recording.foreign_events import count_foreign_events
from ingestion.recording.kept_events import load_source_ids
from ingestion.recording.members import HouseholdChanges, Members, release_parts, spread_to_members
from ingestion.recording.own_statements import update_own_statements
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered


async def decide(tx: Tx, work: Work, instant: datetime, today: date) -> None:
    """Decide every event of the batch. Raises NotLocked before anything is written."""
    work.begin()
    placed = await _place(tx, work, instant, today)
    _remember_names(work, placed)
    members = Members(work, registered(), instant)
    await spread_to_members(tx, work, _add_statements(work, placed, instant), members)
    await release_parts(tx, work, members)
    standings.change_standings(work, instant)
    members.withhold_copies()
    if work.admission.outcomes or work.held_parts:
        await count_foreign_events(tx, work, today)
    update_own_statements(work, instant)
    _settle_identities(work)


def _settle_identities(work: Work) -> None:
    """Bring identities up to date, and note the persons to judge again because of them."""
    mates_before = identities.all_mates(work)
    settle_circles(work.persons, work.circles)
    work.separated |= identities.separated_from(work, mates_before)
    work.judge_again |= identities.persons_to_judge_again(work)


# ── placing ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _place(tx: Tx, work: Work, instant: datetime, today: date) -> list[Pushed]:
    """Set `placing`, `circles`, `source_ids` and `admission`; returns the events that take effect."""
    fresh = [event for event in work.events if work.is_fresh(event)]
    _place_events(work, fresh)
    work.source_ids = await _source_ids(tx, work, work.placed(fresh))
    AdmissionTest(work, standing_rules(), registered(), instant, today).admit()
    if work.admission.stuck:
        _place_events(work, fresh)
    return work.placed(fresh)


def _place_events(work: Work, fresh: Sequence[Pushed]) -> None:
    """Find the chain of each event, or its reason to wait. Circles start as loaded. Events that are stuck wait."""
    person_of, stuck = work.person_of | work.holders, work.admission.stuck
    work.circles = Circles(work.persons.values())
    work.placing = place_events(fresh, person_of, work.known, work.circles, work.request.forced, stuck)


async def _source_ids(tx: Tx, work: Work, placed: Sequence[Pushed]) -> dict[str, str]:
    """The sources' own ids of these events, and of all statements in their chains that have the same time."""
    ids = {e.event_id: e.id for e in placed}
    tied: set[str] = set()
    for event in placed:
        tied.update(_same_time(work, event))
    return ids | await load_source_ids(tx, tied - ids.keys())


def _same_time(work: Work, event: Pushed) -> list[str]:
    """Event ids of the statements in the event's chain that have the same time."""
    if event.kind == "household":
        return _same_time_in_lists(work, event)
    return same_moment(work.person(event).statements, work.chain(event), event.time)


def _same_time_in_lists(work: Work, event: Pushed) -> list[str]:
    stated = [entry.statement for entry in chain_of_list(work.states, work.chain(event))]
    return [s.event_id for s in stated if s.time == event.time]


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────


def _remember_names(work: Work, placed: Sequence[Pushed]) -> None:
    """Note the newest names of registrations that count fully, to be sealed."""
    for event in placed:
        if event.name is not None and event.name_digest and work.standing(event) is None:
            _remember_name(work, event, event.name)


def _remember_name(work: Work, event: Pushed, name: str) -> None:
    person = work.persons[work.subject(event)]
    if remember_name(person, event.time, event.name_digest):
        work.new_names.append((person.person_id, name))


def _add_statements(work: Work, placed: Sequence[Pushed], instant: datetime) -> HouseholdChanges:
    """Add the statements of these events to the persons. Returns those that may reach members of a household."""
    changes = HouseholdChanges({}, {})
    for event in placed:
        if event.kind == "household":
            changes.lists.setdefault(work.chain(event), []).append(_list_entry(work, event, instant))
        elif event.kind == "low_income":
            _add_income(work, event, changes.incomes, instant)
        else:
            standings.add_statement(work, event, instant)
    return changes


def _add_income(work: Work, event: Pushed, incomes: dict[str, str], instant: datetime) -> None:
    """Add a low-income statement. Note its chain in `incomes` if it may reach other members of a household.

    The statement may do so if it names a household, or if its chain may have named one."""
    person, chain = work.person(event), work.chain(event)
    continued = chain.encode() in person.statements
    standings.add_statement(work, event, instant)
    if continued or event.household is not None:
        incomes[chain] = person.person_id


def _list_entry(work: Work, event: Pushed, instant: datetime) -> Entry:
    statement = standings.statement_in_batch(work, event, instant)
    return Entry(statement, work.persons_named(event))
