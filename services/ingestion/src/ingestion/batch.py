"""A batch between loading and saving: who is meant, what waits, and everything locked that it may change.

Locks are taken households first, then persons, each in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from common.errors import Unavailable
from common.message import derived_id
from common.privacy import vault
from common.transaction import Tx

from ingestion.domain.chains import Known, Placing
from ingestion.domain.household import State
from ingestion.domain.identity import Circles
from ingestion.domain.person import Person
from ingestion.domain.pushed import Member, Pushed
from ingestion.reading import reopen
from ingestion.store import statements as store

LOCK_ROUNDS_MAX: Final = 4


@dataclass
class Work:
    """`events`: the new ones and those that waited, each once. `holders`: whose the numbers are that stand in other
    people's certificates, as far as they are anybody's; not locked, since whoever is of the person's circle is anyway.
    """

    events: list[Pushed]
    new: dict[str, Pushed]
    waited: dict[str, bytes]
    person_of: dict[bytes, str]
    forced: Collection[str]
    holders: dict[bytes, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    placing: Placing = field(default_factory=lambda: Placing({}, {}, {}))
    circles: Circles = field(default_factory=lambda: Circles(()))
    households: dict[str, str] = field(default_factory=dict)
    names: list[tuple[str, str]] = field(default_factory=list)

    def whose(self, event: Pushed) -> str:
        """Whom the event names."""
        return self.person_of[event.person.index]

    def keeper(self, event: Pushed) -> str:
        """Whose statement it becomes; while it waits, whom it names."""
        return self.placing.keepers.get(event.event_id) or self.whose(event)


async def load(tx: Tx, new: dict[str, Pushed], person_ids: Collection[str], forced: Collection[str]) -> Work:
    person_of, mates = await _identify(tx, (m for e in new.values() for m in (e.person, *e.members)))
    direct = {person_of[e.person.index] for e in new.values()} | set(person_ids)
    work = Work(list(new.values()), new, {}, person_of, forced)
    for _ in range(LOCK_ROUNDS_MAX):
        work.waited = await store.load_waiting(tx, direct)
        waiting = [open_kept(event_id, sealed) for event_id, sealed in work.waited.items()]
        work.events = [*(e for e in new.values() if e.event_id not in work.waited), *waiting]
        more, joined = await _identify(
            tx, (m for e in waiting for m in (e.person, *e.members) if m.index not in work.person_of)
        )
        work.person_of |= more
        mates |= joined
        direct |= {work.person_of[m.index] for e in work.events if e.kind == "identity_change" for m in e.members}
        await lock(tx, work, set(), direct | mates)
        work.holders = await _holders(tx, work)  # from behind the locks: nobody can join these circles any more
        circles = {work.persons[p].circle for p in direct} - {None}
        direct |= {p.person_id for p in work.persons.values() if p.circle in circles}  # what waits there may go on now
        if await _still_waiting(tx, work, direct) == set(work.waited):
            break  # nobody changed what waits between looking and locking
    else:
        raise Unavailable("quarantine kept changing")
    return work


async def _still_waiting(tx: Tx, work: Work, direct: Collection[str]) -> set[str]:
    """What waits, seen from behind the locks. Almost always nothing did and nothing does, and no look is needed."""
    if not work.waited and not any(work.persons[person_id].waiting for person_id in direct):
        return set()
    return set(await store.load_waiting(tx, direct))


async def lock(tx: Tx, work: Work, extra: Collection[str], direct: Collection[str] = ()) -> None:
    """Households, then persons, then what is known of the events. Where a predecessor of household matters was
    recorded while we came to stand before its person, its household is locked too, in another round."""
    followed = {e.previous for e in work.events if e.previous is not None and e.kind in ("household", "low_income")}
    households = {e.household for e in work.events if e.household} | set(extra)
    households |= _households(await store.load_known(tx, followed), followed)
    for _ in range(LOCK_ROUNDS_MAX):
        work.states = await store.lock_households(tx, households)
        ever = {person_id for state in work.states.values() for person_id in state.ever}
        wanted = {*work.person_of.values(), *direct, *work.persons, *ever}
        work.persons = await store.lock_persons(tx, wanted)
        circles = {p.circle for p in work.persons.values() if p.circle is not None}
        if circles and (joined := await store.load_circles(tx, circles) - work.persons.keys()):
            direct = {*direct, *joined}  # while we came to stand before it
            continue
        ids = set(work.new) | {e.previous for e in work.events if e.previous is not None}
        work.known = await store.load_known(tx, ids)
        missed = _households(work.known, followed) - households
        if not missed:
            return
        households |= missed
    raise Unavailable("households kept changing")


def _households(known: Mapping[str, Known], followed: Collection[str]) -> set[str]:
    return {k.household for event_id, k in known.items() if k.household and event_id in followed}


def open_kept(event_id: str, sealed: bytes) -> Pushed:
    return reopen(vault().open(sealed, event_id.encode()))


async def _holders(tx: Tx, work: Work) -> dict[bytes, str]:
    """The persons of those numbers that stand in certificates of others, as far as there are any."""
    named = {e.holder.index for e in work.events if e.holder is not None} - work.person_of.keys()
    if not named:
        return {}
    return {index: person_id for index, (person_id, _) in (await store.load_identities(tx, named)).items()}


async def _identify(tx: Tx, members: Iterable[Member]) -> tuple[dict[bytes, str], set[str]]:
    """Person ids by blind index, and everybody of their circles. Whoever is new gets an id that follows from the index,
    so that two writers agree."""
    numbers = {m.index: m.number for m in members}
    if not numbers:
        return {}, set()
    known = await store.load_identities(tx, numbers)
    found = {index: person_id for index, (person_id, _) in known.items()}
    circles = {circle for _, circle in known.values() if circle is not None}
    mates = await store.load_circles(tx, circles) if circles else set()
    fresh = {index: derived_id("person", index.hex()) for index in numbers if index not in found}
    if fresh:
        made = await store.insert_identities(tx, list(fresh.items()))
        await store.insert_persons(tx, fresh.values())
        seal = vault().seal
        await store.upsert_vault(
            tx,
            [
                (fresh[index], "id_number", seal(numbers[index].encode(), f"{fresh[index]}/id_number".encode()))
                for index in made
            ],
        )
    return found | fresh, mates
