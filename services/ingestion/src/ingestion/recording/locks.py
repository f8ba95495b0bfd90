"""Loads and locks everything that a batch may change.

Households are locked first, then persons, each in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from common.errors import Unavailable
from common.message import derived_id
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.chains import Known
from ingestion.domain.pushed import Member, Pushed
from ingestion.recording.batch import Request, Work
from ingestion.recording.kept_events import open_event
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

LOCK_ROUNDS_MAX: Final = 4


async def load(tx: Tx, new: dict[str, Pushed], request: Request) -> Work:
    """Load a batch behind its locks. `new`: by event id. Raises Unavailable if the quarantine keeps changing."""
    person_of, others = await _identify(tx, _named_persons(new.values()))
    direct = {person_of[e.person.index] for e in new.values()} | set(request.person_ids)
    work = Work(list(new.values()), new, {}, person_of, request)
    for _ in range(LOCK_ROUNDS_MAX):
        if await _load_round(tx, work, direct, others):
            return work
    raise Unavailable("quarantine kept changing")


async def _load_round(tx: Tx, work: Work, direct: set[str], others: set[str]) -> bool:
    """One attempt to load. False if the quarantine changed before the locks were held, or more persons are needed.

    `direct`: persons whose waiting events are decided. `others`: persons of identity changes and of own statements.
    They are locked, but their waiting events are not decided in this batch. Otherwise a line of waiting identity
    changes would add one person after the other. Both sets grow."""
    waiting = await _load_waiting(tx, work, direct)
    unknown = (m for m in _named_persons(waiting) if m.index not in work.person_of)
    person_of, mates = await _identify(tx, unknown)
    work.person_of |= person_of
    others |= mates
    await lock(tx, work, {part.household for part in work.parts}, direct | others)
    if _add_missing(work, direct, others):
        return False
    work.holders = await _holders(tx, work)  # behind the locks: nobody can join these circles any more
    direct |= _mates(work, direct)  # their waiting events may take effect now
    if _add_missing(work, direct, others):
        return False
    return await _still_waiting(tx, work, direct) == {*work.waited, *(part.id for part in work.parts)}


async def _load_waiting(tx: Tx, work: Work, direct: Collection[str]) -> list[Pushed]:
    """The waiting events of these persons in the order of arrival. `work.events`: these, then the new ones."""
    work.waited, work.parts = await quarantine.load_waiting(tx, direct)
    in_order = sorted(work.waited, key=lambda event_id: (work.waited[event_id].since, event_id))
    waiting = [open_event(event_id, work.waited[event_id].sealed) for event_id in in_order]
    work.events = [*waiting, *(e for e in work.new.values() if e.event_id not in work.waited)]
    return waiting


def _named_persons(events: Iterable[Pushed]) -> Iterable[Member]:
    return (m for e in events for m in (e.person, *e.members))


def _mates(work: Work, person_ids: Collection[str]) -> set[str]:
    """All persons in the circles of these persons."""
    circles = {work.persons[p].circle for p in person_ids} - {None}
    return {p.person_id for p in work.persons.values() if p.circle in circles}


def _add_missing(work: Work, direct: Collection[str], others: set[str]) -> bool:
    """Add the persons in whose timelines the platform's own statements about `direct` are. True if some are new."""
    own = [o for p in direct if p in work.persons for o in work.persons[p].memory.standing.own]
    missing = {i for o in own for i in (o.person_id, o.keeper)} - work.persons.keys()
    others |= missing
    return bool(missing)


async def _still_waiting(tx: Tx, work: Work, direct: Collection[str]) -> set[str]:
    """Ids of the rows that wait, read behind the locks. No query is needed if nothing waited and nothing waits."""
    if not work.waited and not work.parts and not any(work.persons[person_id].waiting for person_id in direct):
        return set()
    waiting, parts = await quarantine.load_waiting(tx, direct)
    return {*waiting, *(part.id for part in parts)}


# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────


async def lock(tx: Tx, work: Work, extra: Collection[str], direct: Collection[str] = ()) -> None:
    """Lock households, then persons, then load the stored events. `extra`: more households; `direct`: more persons.

    If a household's predecessor was recorded while this batch waited for a lock, another round locks that household,
    too. Raises Unavailable if households keep changing."""
    followed = _followed(work)
    households = {e.household for e in work.events if e.household} | set(extra)
    households |= _households(await store.load_known(tx, followed), followed)
    persons = set(direct)
    for _ in range(LOCK_ROUNDS_MAX):
        joined = await _lock_round(tx, work, households, persons)
        if joined:
            persons |= joined
            continue
        ids = set(work.new) | {e.previous for e in work.events if e.previous is not None}
        work.known = await store.load_known(tx, ids)
        missed = _households(work.known, followed) - households
        if not missed:
            return
        households |= missed
    raise Unavailable("households kept changing")


def _followed(work: Work) -> set[str]:
    """The predecessors of events that may concern a household."""
    return {e.previous for e in work.events if e.previous is not None and e.kind in ("household", "low_income")}


async def _lock_round(tx: Tx, work: Work, households: Collection[str], persons: Collection[str]) -> set[str]:
    """Returns the members of circles who joined while this batch waited for a lock."""
    work.states = await store.lock_households(tx, households)
    ever = {person_id for state in work.states.values() for person_id in state.ever}
    work.persons = await store.lock_persons(tx, {*work.person_of.values(), *persons, *work.persons, *ever})
    circles = {p.circle for p in work.persons.values() if p.circle is not None}
    return await store.load_circles(tx, circles) - work.persons.keys() if circles else set()


def _households(known: Mapping[str, Known], followed: Collection[str]) -> set[str]:
    return {k.household for event_id, k in known.items() if k.household and event_id in followed}


# ── persons by ID number ────────────────────────────────────────────────────────────────────────────────────


async def _holders(tx: Tx, work: Work) -> dict[bytes, str]:
    """The persons of ID numbers that are printed in certificates of other persons, if such persons exist."""
    named = {e.holder.index for e in work.events if e.holder is not None} - work.person_of.keys()
    if not named:
        return {}
    return {index: found.person_id for index, found in (await store.load_identities(tx, named)).items()}


async def _identify(tx: Tx, members: Iterable[Member]) -> tuple[dict[bytes, str], set[str]]:
    """Person ids by blind index, and all persons of their circles. Creates the persons that do not exist."""
    numbers = {m.index: m.number for m in members}
    if not numbers:
        return {}, set()
    known = await store.load_identities(tx, numbers)
    found = {index: identity.person_id for index, identity in known.items()}
    circles = {identity.circle for identity in known.values() if identity.circle is not None}
    mates = await store.load_circles(tx, circles) if circles else set()
    missing = [index for index in numbers if index not in found]
    if missing:
        found |= await _create_persons(tx, missing, numbers)
    return found, mates


async def _create_persons(tx: Tx, indexes: Sequence[bytes], numbers: Mapping[bytes, str]) -> dict[bytes, str]:
    """The id of a person is derived from the blind index, so that two writers create the same person."""
    person_of = {index: derived_id("person", index.hex()) for index in indexes}
    created = await store.insert_identities(tx, list(person_of.items()))
    await store.insert_persons(tx, person_of.values())
    seal = vault().seal
    sealed = []
    for index in created:
        person_id = person_of[index]
        sealed.append((person_id, "id_number", seal(numbers[index].encode(), f"{person_id}/id_number".encode())))
    await store.upsert_vault(tx, sealed)
    return person_of
