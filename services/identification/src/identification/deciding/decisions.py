"""Decide a batch of cases, save the decisions and emit the events. All verbs that decide people use it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from shell import clock
from shell.store.transaction import Tx, origin_of

from identification.deciding.domain.cases import Case, Decided, decide_case
from identification.deciding.domain.edges import edge_events
from identification.deciding.store import adverse as adverse_store
from identification.deciding.store import people as store
from identification.lists.domain.content import ListSet

PAUSE_EVERY: Final = 100  # some 10 ms
_encode = msgspec.json.Encoder().encode


class Saved(NamedTuple):
    """The decided people of a batch. `conflicts`: new people that another transaction stored at the same time. They are
    not saved and must be decided again."""

    decided: list[Decided]
    conflicts: list[Decided]


async def decide_cases(cases: Sequence[Case], list_set: ListSet) -> list[Decided]:
    """Decide all cases, with pauses, because the relay and the HTTP routes share this process."""
    today = clock.today()
    decided: list[Decided] = []
    for n, case in enumerate(cases, 1):
        decided.append(decide_case(case, list_set.lists, list_set.digest, today))
        if n % PAUSE_EVERY == 0:
            await asyncio.sleep(0)
    return decided


async def decide_and_save(tx: Tx, cases: Sequence[Case], list_set: ListSet) -> Saved:
    """Decide all cases, save the results and emit the events. Stored people must be locked before."""
    decided, conflicts = await _insert_new(tx, await decide_cases(cases, list_set))
    await store.update_inputs(tx, [d.person for d in decided if not d.event and not d.case.is_new])
    await save_decided(tx, [d for d in decided if d.event])
    return Saved(decided, conflicts)


async def _insert_new(tx: Tx, decided: list[Decided]) -> Saved:
    """Insert the new people. Those that another transaction has stored are returned as conflicts."""
    fresh = [d for d in decided if d.case.is_new]
    if not fresh:
        return Saved(decided, [])
    inserted = await store.insert_people(tx, [d.person for d in fresh])
    conflicts = [d for d in fresh if d.person.person_id not in inserted]
    if not conflicts:
        return Saved(decided, [])
    lost = {d.person.person_id for d in conflicts}
    return Saved([d for d in decided if d.person.person_id not in lost], conflicts)


async def save_decided(tx: Tx, decided: Sequence[Decided]) -> None:
    """Save and emit new decisions. Their people are locked or just inserted; every `event` is set."""
    now = clock.now()
    await store.update_decided(tx, [d.person for d in decided if not d.case.is_new])
    await store.append_decisions(tx, [_record(d, now) for d in decided])
    owed = [(d.person.person_id, d.person.version, _encode(d.adverse)) for d in decided if d.adverse]
    await adverse_store.owe_reasons(tx, owed)
    for d in decided:
        _emit(tx, d)


def _record(decided: Decided, now: datetime) -> store.DecisionRecord:
    assert decided.event is not None
    person = decided.person
    return store.DecisionRecord(
        person.person_id,
        person.version,
        now,
        decided.event.recorded_at,
        person.facts_version,
        person.abilities_version,
        person.policy_digest,
        decided.change,
    )


def _emit(tx: Tx, decided: Decided) -> None:
    event, case = decided.event, decided.case
    assert event is not None
    origin = origin_of(case.cause)
    if case.correlation_id is not None:
        origin = msgspec.structs.replace(origin, correlation_id=case.correlation_id)
    division = event.residence or event.hukou
    tx.emit_stored(event, origin, division=division, urgent=decided.urgent)  # the JSON is `persons.decision`
    for edge in edge_events(decided.person.person_id, decided.edges):
        tx.emit(edge, origin, division=division)
