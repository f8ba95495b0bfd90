"""Saves what a batch has decided: events, quarantine, names, households, cases and persons, and emits the persons."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from common.errors import Unavailable
from common.events import PersonFactsRecorded
from shell.privacy import vault
from shell.store.transaction import Origin, Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.identity import statements_of_others
from ingestion.domain.person import Person, snapshot
from ingestion.recording import cases, names
from ingestion.recording.batch import Work
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

QUARANTINE_DAYS: Final = 3


async def save(tx: Tx, work: Work, instant: datetime) -> None:
    chains, _, waiting = work.placing
    by = work.request.by
    new = [e for e in work.new.values() if e.event_id not in work.known]
    seal = vault().seal
    rows = [
        store.NewEvent(
            e,
            work.keeper(e),
            chains.get(e.event_id),
            work.households.get(e.event_id),
            seal(e.kept, e.event_id.encode()),
            _status(waiting.get(e.event_id)),
        )
        for e in new
    ]
    if len(await store.insert_received(tx, rows, instant)) != len(rows):
        raise Unavailable("another writer was first with an id")  # of another person, or its person were locked
    await cases.save_waiting(tx, work, new, instant, instant + timedelta(days=QUARANTINE_DAYS))
    released = {i: (chains[i], work.households.get(i), work.placing.keepers[i]) for i in work.waited if i in chains}
    await quarantine.release(tx, released, instant, by)
    await quarantine.release_parts(tx, [part.id for part in work.parts_released], instant, by)
    await quarantine.withdraw(tx, [i for i in work.waited if waiting.get(i) == WITHDRAWN], instant)
    await quarantine.reopen(tx, _revived(work), instant, instant + timedelta(days=QUARANTINE_DAYS))
    await store.upsert_vault(tx, _sealed_names(work))
    await names.settle_names(tx, work)
    await store.save_households(tx, work.states)
    await cases.save_cases(tx, work, instant)
    _count_waiting(work)
    await save_persons(tx, work, instant)


def _revived(work: Work) -> list[str]:
    """Withdrawn events that wait again."""
    return [i for i in work.withdrawn if work.placing.waiting.get(i, WITHDRAWN) != WITHDRAWN]


def _status(reason: str | None) -> str:
    return "applied" if reason is None else "parked" if reason == WITHDRAWN else "quarantined"


def _sealed_names(work: Work) -> list[tuple[str, str, bytes]]:
    newest = dict(work.names)  # the last one of a person is the newest: earlier ones lost against it
    seal = vault().seal
    return [(p, "name", seal(name.encode(), f"{p}/name".encode())) for p, name in newest.items()]


async def save_persons(tx: Tx, work: Work, instant: datetime) -> None:
    for person in work.persons.values():
        if person.causes:
            person.version += 1
            person.recorded_at = instant
            _emit(tx, person, instant)
    await store.save_persons(tx, [p for p in work.persons.values() if p.causes or p.touched])
    await store.save_circles(tx, [p for p in work.persons.values() if p.rejoined])


def _count_waiting(work: Work) -> None:
    """How many rows of each person wait now. `work.now_waiting`: rows that were entered."""
    change = Counter(work.now_waiting.values())
    for event in work.events:
        if event.event_id in work.waited:
            counted_before = event.event_id not in work.withdrawn
            reason = work.placing.waiting.get(event.event_id, WITHDRAWN)
            change[work.whose(event)] += (reason != WITHDRAWN) - counted_before
    change.subtract(part.person_id for part in work.parts_released)
    for person_id, count in change.items():
        if count:
            work.persons[person_id].waiting += count
            work.persons[person_id].touched = True


def _emit(tx: Tx, person: Person, instant: datetime) -> None:
    """A person without other identities is sent as the row holds it (the view `outgoing`)."""
    causes = tuple(person.causes)
    plain = not person.identities
    tx.emit_stored(
        PersonFactsRecorded(person_id=person.person_id, version=person.version, recorded_at=instant, statements=()),
        Origin(correlation_id=causes[-1], causes=causes),
        encoded=None if plain else snapshot(person, instant, statements_of_others(person.identities, person.others)),
        division=person.division,
        urgent=person.urgent,
    )
