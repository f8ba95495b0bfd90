"""Decides a loaded batch: it changes the persons and households in memory. Only `recording.storage` writes them."""

from collections.abc import Sequence
from datetime import date, datetime

from shell.store.transaction import Tx

from ingestion.domain.chains import place_events
from ingestion.domain.household import Entry, chain_of_list
from ingestion.domain.identity import Circles, settle_circles
from ingestion.domain.person import Person, remember_name, same_moment
from ingestion.domain.pushed import Pushed
from ingestion.recording import identities, standings
from ingestion.recording.admission import AdmissionTest
from ingestion.recording.batch import Work
from ingestion.recording.foreign_events import count_foreign_events
from ingestion.recording.kept_events import open_events
from ingestion.recording.members import Members, release_parts, spread_to_members
from ingestion.recording.own_statements import update_own_statements
from ingestion.register.sources import registered, standing_rules


async def decide(tx: Tx, work: Work, instant: datetime, today: date) -> None:
    """Decide every event of the batch. Raises NotLocked before anything is written."""
    work.begin()
    fresh = [e for e in work.events if e.event_id in work.waited or e.event_id not in work.known]
    source_ids = await _place(tx, work, fresh, instant, today)
    placed = [e for e in fresh if e.event_id in work.placing.chains]
    _remember_names(work, placed)
    lists, incomes = _add_statements(work, placed, source_ids, instant)
    members = Members(work, registered(), instant)
    if lists or incomes:
        await spread_to_members(tx, work, lists, incomes, source_ids, members)
    await release_parts(tx, work, source_ids, members)
    standings.change_standings(work, instant)
    members.withhold_copies()
    if work.admission.outcomes:
        quiet = await count_foreign_events(tx, work, today)
        update_own_statements(work, quiet, instant)
    _settle_identities(work)


def _settle_identities(work: Work) -> None:
    """Bring identities up to date, and note the persons to judge again because of them."""
    mates_before = identities.all_mates(work)
    settle_circles(work.persons, work.circles)
    work.separated |= identities.separated_from(work, mates_before)
    work.judge_again |= identities.persons_to_judge_again(work)


async def _place(tx: Tx, work: Work, fresh: Sequence[Pushed], instant: datetime, today: date) -> dict[str, str]:
    """Set `placing`, `circles` and `admission`; returns the sources' own ids that decide an order."""
    person_of, forced = work.person_of | work.holders, work.request.forced
    work.circles = Circles(work.persons.values())
    work.placing = place_events(fresh, person_of, work.known, work.circles, forced)
    source_ids = await _source_ids(tx, work, [e for e in fresh if e.event_id in work.placing.chains])
    test = AdmissionTest(work, source_ids, standing_rules(), registered(), instant, today)
    work.admission = test.admit(work.placing)
    if work.admission.stuck:
        work.circles = Circles(work.persons.values())
        work.placing = place_events(fresh, person_of, work.known, work.circles, forced, work.admission.stuck)
    return source_ids


async def _source_ids(tx: Tx, work: Work, placed: Sequence[Pushed]) -> dict[str, str]:
    """The sources' own ids of these events, and of all statements in their chains that have the same time."""
    ids = {e.event_id: e.id for e in placed}
    tied: set[str] = set()
    for event in placed:
        tied.update(_same_time(work, event))
    events = await open_events(tx, tied - ids.keys())
    return ids | {event_id: event.id for event_id, event in events.items()}


def _same_time(work: Work, event: Pushed) -> list[str]:
    """Event ids of the statements in the event's chain that have the same time."""
    chain = work.placing.chains[event.event_id]
    if event.kind == "household":
        entries = chain_of_list(work.states, chain)
        return [e.statement.event_id for e in entries if e.statement.time == event.time]
    return same_moment(work.persons[work.keeper(event)].statements, chain, event.time)


def _remember_names(work: Work, placed: Sequence[Pushed]) -> None:
    """Note the newest names of registrations that count fully, to be sealed."""
    chains, standing = work.placing.chains, work.admission.standing
    for event in placed:
        if event.kind != "registration" or not event.name_digest or event.name is None:
            continue
        if standing.get(chains[event.event_id]) is not None:
            continue
        person = work.persons[work.subject(event)]
        if remember_name(person, event.time, event.name_digest):
            work.new_names.append((person.person_id, event.name))


def _add_statements(
    work: Work, placed: Sequence[Pushed], source_ids: dict[str, str], instant: datetime
) -> tuple[dict[str, list[Entry]], dict[str, str]]:
    """Add the statements of these events to the persons.

    Returns the household lists by chain, and by chain the person of each low income that may reach others."""
    lists: dict[str, list[Entry]] = {}
    incomes: dict[str, str] = {}
    for event in placed:
        person, chain = work.persons[work.keeper(event)], work.placing.chains[event.event_id]
        if event.kind == "household":
            lists.setdefault(chain, []).append(_list_entry(work, event, person, instant))
            continue
        continued = event.kind == "low_income" and chain.encode() in person.statements
        standings.add_statement(work, event, person, source_ids, instant)
        if event.kind == "low_income" and (continued or event.household is not None):
            incomes[chain] = person.person_id
    return lists, incomes


def _list_entry(work: Work, event: Pushed, person: Person, instant: datetime) -> Entry:
    statement = standings.statement_in_batch(work, event, person, instant)
    return Entry(statement, tuple(work.person_of[m.index] for m in event.members))
