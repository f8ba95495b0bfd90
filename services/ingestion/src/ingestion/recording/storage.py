"""Saves the decisions of a batch, and emits the changed persons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from common.errors import Unavailable
from common.events import PersonFactsRecorded
from shell.privacy import vault
from shell.store.transaction import Origin, Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.person import Person
from ingestion.domain.pushed import Pushed
from ingestion.domain.snapshots import snapshot
from ingestion.recording import names, place_cases, waiting_events
from ingestion.recording.batch import Work
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

QUARANTINE_DAYS: Final = 3


async def save(tx: Tx, work: Work, instant: datetime) -> None:
    """Write everything that the batch has changed: a fixed number of SQL statements."""
    new = [e for e in work.new.values() if e.event_id not in work.known]
    rows = [_new_event(work, e) for e in new]
    if len(await store.insert_received(tx, rows, instant)) != len(rows):
        raise Unavailable("another writer was first with an id")  # of another person, or its person were locked
    await _save_quarantine(tx, work, new, instant)
    await store.upsert_vault(tx, _sealed_names(work.new_names))
    await names.settle_names(tx, work)
    await store.save_households(tx, work.states)
    await place_cases.save_place_cases(tx, work, instant)
    _count_waiting(work)
    await save_persons(tx, work.persons, instant)


def _new_event(work: Work, event: Pushed) -> store.NewEvent:
    return store.NewEvent(
        event,
        work.keeper(event),
        work.placing.chains.get(event.event_id),
        work.household_of_event.get(event.event_id),
        vault().seal(event.kept, event.event_id.encode()),
        _status(work.placing.waiting.get(event.event_id)),
    )


def _status(reason: str | None) -> str:
    if reason is None:
        return "applied"
    return "parked" if reason == WITHDRAWN else "quarantined"


async def _save_quarantine(tx: Tx, work: Work, new: Sequence[Pushed], instant: datetime) -> None:
    by, deadline = work.request.by, instant + timedelta(days=QUARANTINE_DAYS)
    await waiting_events.save_waiting(tx, work, new, instant, deadline)
    await quarantine.release(tx, _released(work), instant, by)
    await quarantine.release_parts(tx, [part.id for part in work.released_parts], instant, by)
    withdrawn = [i for i in work.waited if work.placing.waiting.get(i) == WITHDRAWN]
    await quarantine.withdraw(tx, withdrawn, instant)
    await quarantine.reopen(tx, _reopened(work), instant, deadline)


def _released(work: Work) -> list[quarantine.Released]:
    """Events that waited and take effect now."""
    chains, keepers = work.placing.chains, work.placing.keepers
    return [
        quarantine.Released(i, chains[i], work.household_of_event.get(i), keepers[i])
        for i in work.waited
        if i in chains
    ]


def _reopened(work: Work) -> list[str]:
    """Withdrawn events that wait again."""
    waiting = work.placing.waiting
    return [i for i, waited in work.waited.items() if waited.withdrawn and waiting.get(i, WITHDRAWN) != WITHDRAWN]


def _sealed_names(new_names: Sequence[tuple[str, str]]) -> list[tuple[str, str, bytes]]:
    """`new_names`: person and name; the last name of a person is the newest."""
    seal = vault().seal
    return [(p, "name", seal(name.encode(), f"{p}/name".encode())) for p, name in dict(new_names).items()]


def _count_waiting(work: Work) -> None:
    """Update the number of waiting rows of each person."""
    change = Counter(work.now_waiting.values())
    for event in work.events:
        waited = work.waited.get(event.event_id)
        if waited is not None:
            waits = work.placing.waiting.get(event.event_id, WITHDRAWN) != WITHDRAWN
            change[work.subject(event)] += waits - (not waited.withdrawn)
    change.subtract(part.person_id for part in work.released_parts)
    for person_id, count in change.items():
        if count:
            work.persons[person_id].waiting += count
            work.persons[person_id].touched = True


# ── persons ─────────────────────────────────────────────────────────────────────────────────────────────────


async def save_persons(tx: Tx, persons: Mapping[str, Person], instant: datetime) -> None:
    """Save changed persons and emit those whose statements have changed."""
    for person in persons.values():
        if person.causes:
            person.version += 1
            person.recorded_at = instant
            _emit(tx, person, instant)
    await store.save_persons(tx, [p for p in persons.values() if p.causes or p.touched])
    await store.save_circles(tx, [p for p in persons.values() if p.rejoined])


def _emit(tx: Tx, person: Person, instant: datetime) -> None:
    """The database view `outgoing` builds the JSON of a person without other identities from the saved row."""
    causes = tuple(person.causes)
    tx.emit_stored(
        PersonFactsRecorded(person_id=person.person_id, version=person.version, recorded_at=instant, statements=()),
        Origin(correlation_id=causes[-1], causes=causes),
        encoded=snapshot(person) if person.identities else None,
        division=person.division,
        urgent=person.urgent,
    )
