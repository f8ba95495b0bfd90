"""Loads and locks everything that a batch may change.

Households are locked first, then persons, each in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from common.errors import Unavailable
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.chains import Known
from ingestion.domain.pushed import Member, Pushed
from ingestion.recording.batch import Request, Work
from ingestion.recording.identities import ids_in_circles
from ingestion.recording.kept_events import open_event, vault_row
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

LOCK_ROUNDS_MAX: Final = 4


async def load(tx: Tx, new: dict[str, Pushed], request: Request) -> Work:
    """Lock and load a batch. `new`: its events by id. Raises Unavailable if the quarantine keeps changing."""
    person_of, others = await _identify(tx, _named_persons(new.values()))
    direct = {person_of[e.person.index] for e in new.values()} | set(request.person_ids)
    work = Work(list(new.values()), new, {}, person_of, request)
    for _ in range(LOCK_ROUNDS_MAX):
        if await _load_round(tx, work, direct, others):
            return work
    raise Unavailable("quarantine kept changing")


async def _load_round(tx: Tx, work: Work, direct: set[str], others: set[str]) -> bool:
    """One attempt to load. False if the quarantine changed before the locks were held, or more persons are needed.

    `direct`: persons whose waiting events are decided. `others`: persons of identity changes, of own statements and of
    followers. They are locked, but their waiting events are not decided in this batch. Otherwise a line of waiting
    identity changes would add one person after the other. Both sets grow."""
    others |= await _identify_unknown(tx, work, await _load_waiting(tx, work, direct))
    others |= {waited.person_id for waited in work.waited.values()}
    await lock(tx, work, {part.household for part in work.parts}, direct | others)
    if await _add_followed(tx, work, direct) or _add_missing(work, direct, others):
        return False
    work.holders = await _holders(tx, work)  # behind the locks: nobody can join these circles any more
    direct |= ids_in_circles(work, direct)  # their waiting events may take effect now
    if _add_missing(work, direct, others):
        return False
    return await _still_waiting(tx, work, direct) == _ids_of_rows(work.waited, work.parts)


def _named_persons(events: Iterable[Pushed]) -> Iterable[Member]:
    return (m for e in events for m in (e.person, *e.members))


async def _add_followed(tx: Tx, work: Work, direct: set[str]) -> bool:
    """Add the persons of the waiting events that new events follow under another number. True if some are new."""
    followed = {e.previous for e in work.new.values() if e.previous in work.known}
    waiting = [event_id for event_id in followed if work.known[event_id].chain is None]
    persons = await quarantine.list_persons_followed(tx, waiting) if waiting else set()
    missing = persons - direct
    direct |= missing
    return bool(missing)


def _add_missing(work: Work, direct: set[str], others: set[str]) -> bool:
    """Add the persons in whose timelines the platform's own statements about `direct` are. True if some are new."""
    concerned: set[str] = set()
    for person_id in direct & work.persons.keys():
        for own in work.persons[person_id].memory.standing.own:
            concerned |= {own.person_id, own.keeper}
    missing = concerned - work.persons.keys()
    others |= missing
    return bool(missing)


# ── waiting events ──────────────────────────────────────────────────────────────────────────────────────────


async def _load_waiting(tx: Tx, work: Work, direct: Collection[str]) -> list[Pushed]:
    """Load the waiting events of these persons in the order of arrival, and put them first in `work.events`."""
    work.waited, work.parts = await quarantine.load_waiting(tx, direct, work.new)
    waiting = [open_event(event_id, work.waited[event_id].sealed) for event_id in _in_order(work.waited)]
    work.events = [*waiting, *(e for e in work.new.values() if e.event_id not in work.waited)]
    return waiting


def _in_order(waited: Mapping[str, quarantine.Waited]) -> list[str]:
    """The event ids in the order of arrival."""
    return sorted(waited, key=lambda event_id: (waited[event_id].since, event_id))


async def _identify_unknown(tx: Tx, work: Work, waiting: Sequence[Pushed]) -> set[str]:
    """Add the persons of these events to `person_of`; returns the persons of their circles."""
    unknown = (m for m in _named_persons(waiting) if m.index not in work.person_of)
    person_of, mates = await _identify(tx, unknown)
    work.person_of |= person_of
    return mates


async def _still_waiting(tx: Tx, work: Work, direct: Collection[str]) -> set[str]:
    """Ids of the waiting and withdrawn rows as `_load_waiting` finds them, read behind the locks."""
    if not _may_have_waiting(work):
        return set()
    return _ids_of_rows(*await quarantine.load_waiting(tx, direct, work.new))


def _may_have_waiting(work: Work) -> bool:
    """Whether any row may wait: one was loaded, a locked person has one, or a known event does not count. A withdrawn
    event does not count, and `Person.waiting` does not include it."""
    if work.waited or work.parts or any(person.waiting for person in work.persons.values()):
        return True
    return any(event.chain is None for event in work.known.values())


def _ids_of_rows(waited: Iterable[str], parts: Iterable[quarantine.Part]) -> set[str]:
    return {*waited, *(part.id for part in parts)}


# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────


async def lock(tx: Tx, work: Work, extra: Collection[str], direct: Collection[str] = ()) -> None:
    """Lock households, then persons, then load the stored events. `extra`: more households; `direct`: more persons.

    If a household's predecessor was recorded while this batch waited for a lock, another round locks that household,
    too. Raises Unavailable if households keep changing."""
    followed, persons = _followed(work), set(direct)
    households = {e.household for e in work.events if e.household} | set(extra)
    households |= _households(await store.load_known(tx, followed), followed)
    for _ in range(LOCK_ROUNDS_MAX):
        joined = await _lock_round(tx, work, households, persons)
        if joined:
            persons |= joined
            continue
        await _load_known(tx, work)
        missed = _households(work.known, followed) - households
        if not missed:
            return
        households |= missed
    raise Unavailable("households kept changing")


async def _load_known(tx: Tx, work: Work) -> None:
    predecessors = {e.previous for e in work.events if e.previous is not None}
    work.known = await store.load_known(tx, work.new.keys() | predecessors)


async def _lock_round(tx: Tx, work: Work, households: Collection[str], persons: Collection[str]) -> set[str]:
    """Lock and load the households and persons once. Returns the persons who joined their circles meanwhile."""
    work.states = await store.lock_households(tx, households)
    wanted = {*work.person_of.values(), *persons, *work.persons, *_members(work)}
    work.persons = await store.lock_persons(tx, wanted)
    circles = {p.circle for p in work.persons.values() if p.circle is not None}
    return await store.load_circles(tx, circles) - work.persons.keys()


def _members(work: Work) -> set[str]:
    """All persons who were ever named as members of the locked households."""
    return {person_id for state in work.states.values() for person_id in state.ever}


def _followed(work: Work) -> set[str]:
    """The predecessors of events that may concern a household."""
    return {e.previous for e in work.events if e.previous is not None and e.kind in ("household", "low_income")}


def _households(known: Mapping[str, Known], followed: Collection[str]) -> set[str]:
    """The households of followed events, as far as these are stored."""
    stored = [known[event_id] for event_id in followed if event_id in known]
    return {event.household for event in stored if event.household}


# ── persons by ID number ────────────────────────────────────────────────────────────────────────────────────


async def _holders(tx: Tx, work: Work) -> dict[bytes, str]:
    """The persons of ID numbers that certificates print, by blind index. Numbers in `work.person_of` are left out, and
    numbers without a person."""
    named = {e.holder.index for e in work.events if e.holder is not None} - work.person_of.keys()
    return _person_ids(await store.load_identities(tx, named)) if named else {}


def _person_ids(identities: Mapping[bytes, store.Identified]) -> dict[bytes, str]:
    return {index: identified.person_id for index, identified in identities.items()}


async def _identify(tx: Tx, members: Iterable[Member]) -> tuple[dict[bytes, str], set[str]]:
    """Person ids by blind index, and all persons of their circles. Creates the persons that do not exist."""
    numbers = {m.index: m.number for m in members}
    if not numbers:
        return {}, set()
    known = await store.load_identities(tx, numbers)
    mates = await store.load_circles(tx, _circles(known))
    missing = {index: number for index, number in numbers.items() if index not in known}
    created = await _create_persons(tx, missing) if missing else {}
    return _person_ids(known) | created, mates


def _circles(identities: Mapping[bytes, store.Identified]) -> set[str]:
    return {identified.circle for identified in identities.values() if identified.circle is not None}


async def _create_persons(tx: Tx, numbers: Mapping[bytes, str]) -> dict[bytes, str]:
    """Person ids by blind index. `numbers`: ID numbers by blind index.

    The id of a person is derived from the blind index, so that two writers create the same person."""
    person_of = {index: derived_id("person", index.hex()) for index in numbers}
    created = await store.insert_identities(tx, list(person_of.items()))
    await store.insert_persons(tx, person_of.values())
    await store.upsert_vault(tx, [vault_row(person_of[index], "id_number", numbers[index]) for index in created])
    return person_of
