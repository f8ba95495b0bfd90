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
from ingestion.recording.kept_events import vault_row
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

QUARANTINE_DAYS: Final = 3


async def save(tx: Tx, work: Work, instant: datetime) -> None:
    """Write everything that the batch has changed. The number of SQL statements does not depend on the number of events
    or persons; each group needs some of its own."""
    new = [e for e in work.new.values() if e.event_id not in work.known]
    await _insert_received(tx, [_new_event(work, e) for e in new], instant)
    await _save_quarantine(tx, work, new, instant)
    await store.upsert_vault(tx, _sealed_names(work.new_names))
    await names.settle_names(tx, work)
    await store.save_households(tx, work.states)
    await place_cases.save_place_cases(tx, work, instant)
    _count_waiting(work)
    await save_persons(tx, work.persons, instant)


async def _insert_received(tx: Tx, rows: Sequence[store.NewEvent], instant: datetime) -> None:
    inserted = await store.insert_received(tx, rows, instant)
    if len(inserted) != len(rows):
        raise Unavailable("another writer was first with an id")  # about a person who is not locked here


def _new_event(work: Work, event: Pushed) -> store.NewEvent:
    event_id, placing = event.event_id, work.placing
    return store.NewEvent(
        event,
        work.keeper(event),
        placing.chains.get(event_id),
        work.household_of_event.get(event_id),
        vault().seal(event.kept, event_id.encode()),
        _status(placing.waiting.get(event_id)),
    )


def _status(reason: str | None) -> str:
    if reason is None:
        return "applied"
    return "parked" if reason == WITHDRAWN else "quarantined"


def _sealed_names(new_names: Sequence[tuple[str, str]]) -> list[store.Sealed]:
    """The encrypted names for the vault. `new_names`: person and name; the last name of a person is the newest."""
    return [vault_row(person_id, "name", name) for person_id, name in dict(new_names).items()]


# ── quarantine ──────────────────────────────────────────────────────────────────────────────────────────────


async def _save_quarantine(tx: Tx, work: Work, new: Sequence[Pushed], instant: datetime) -> None:
    deadline = instant + timedelta(days=QUARANTINE_DAYS)
    await waiting_events.save_waiting(tx, work, new, instant, deadline)
    await _release(tx, work, instant)
    await quarantine.withdraw(tx, _withdrawn(work), instant)
    await quarantine.reopen(tx, _reopened(work), instant, deadline)


async def _release(tx: Tx, work: Work, instant: datetime) -> None:
    """Release the events and member parts that waited and take effect now."""
    released = [_released(work, event_id) for event_id in work.waited if event_id in work.placing.chains]
    await quarantine.release(tx, released, instant, work.request.by)
    await quarantine.release_parts(tx, [part.id for part in work.released_parts], instant, work.request.by)


def _released(work: Work, event_id: str) -> quarantine.Released:
    household = work.household_of_event.get(event_id)
    return quarantine.Released(event_id, work.placing.chains[event_id], household, work.placing.keepers[event_id])


def _withdrawn(work: Work) -> list[str]:
    return [event_id for event_id in work.waited if work.placing.waiting.get(event_id) == WITHDRAWN]


def _reopened(work: Work) -> list[str]:
    """Withdrawn events that wait again."""
    return [event_id for event_id, waited in work.waited.items() if waited.withdrawn and work.waits(event_id)]


def _count_waiting(work: Work) -> None:
    """Update the number of waiting rows of each person. The event of a row may name another identity of the person."""
    change = Counter(work.now_waiting.values())
    for event_id, waited in work.waited.items():
        waits = work.placing.waiting.get(event_id, WITHDRAWN) != WITHDRAWN
        change[waited.person_id] += waits - (not waited.withdrawn)
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
    """Emit the snapshot of a changed person.

    For a person without other identities, the database view `outgoing` builds the JSON from the saved row."""
    causes = tuple(person.causes)
    encoded = snapshot(person) if person.identities else None
    tx.emit_stored(
        PersonFactsRecorded(person_id=person.person_id, version=person.version, recorded_at=instant, statements=()),
        Origin(correlation_id=causes[-1], causes=causes),
        encoded=encoded,
        division=person.division,
        urgent=person.urgent,
    )
