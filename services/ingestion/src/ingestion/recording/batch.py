"""A batch between loading and saving: who is meant, what waits, and everything locked that it may change.

Locks are taken households first, then persons, each in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from common.errors import Unavailable
from common.events.facts import Standing, Statement
from common.message import derived_id
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.chains import Known, Placing
from ingestion.domain.household import State
from ingestion.domain.identity import Circles
from ingestion.domain.memory import Decided, Grant, Stands
from ingestion.domain.person import Person
from ingestion.domain.pushed import Member, Pushed
from ingestion.domain.standing import Outcome
from ingestion.reading.events import reopen
from ingestion.recording.store import quarantine
from ingestion.recording.store import statements as store

LOCK_ROUNDS_MAX: Final = 4


@dataclass(frozen=True)
class Request:
    """Decisions of officers or a job, beside the events that arrive.

    `person_ids`: persons to judge anew with all their statements. `forced`: events that take effect without the one
    they follow. `exempt` by person: chains and member parts that officers have released. `places` by person: a
    decision on a place. `grants` by person: what sources may state from now on. `retest`: persons of whom what was
    taken before is tested, too. `by`: who has decided."""

    person_ids: Collection[str] = ()
    forced: Collection[str] = ()
    exempt: Mapping[str, Collection[str]] = field(default_factory=dict)
    places: Mapping[str, Decided] = field(default_factory=dict)
    grants: Mapping[str, Collection[Grant]] = field(default_factory=dict)
    retest: Collection[str] = ()
    by: str | None = None


class Part(NamedTuple):
    """The part of a household list about one member to whom its source does not belong. `id`: of its row in
    quarantine; `event_id`: of the list with which it began to wait, where that is known."""

    id: str
    household: str
    source: str
    person_id: str
    event_id: str = ""


class Withheld(NamedTuple):
    """An event that counted, and waits from now on."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    chain: str


class Changed(NamedTuple):
    """A bank account that differs from the one known before. `before`: the event that stated that one."""

    statement: Statement
    person_id: str
    before: str


@dataclass
class Admission:
    """`stuck`: events that wait, with the reason. `standing` by chain: how far a chain counts that is not `full`.
    `outcomes` by person: of those who were judged with all their statements."""

    stuck: dict[str, str] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass
class Work:
    """A batch while it is decided.

    `events`: the new ones and those that waited, each once. `since`: when those that waited began to; `withdrawn`:
    which of them their sources have taken back. `parts`: open parts of households of these persons. `holders`: person
    id per ID number printed in a certificate of another number, if known; they are not locked, because every person of
    a circle is locked anyway.
    """

    events: list[Pushed]
    new: dict[str, Pushed]
    waited: dict[str, bytes]
    person_of: dict[bytes, str]
    request: Request
    since: dict[str, datetime] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    parts: list[Part] = field(default_factory=list)
    holders: dict[bytes, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    placing: Placing = field(default_factory=lambda: Placing({}, {}, {}))
    circles: Circles = field(default_factory=lambda: Circles(()))
    admission: Admission = field(default_factory=Admission)
    households: dict[str, str] = field(default_factory=dict)
    names: list[tuple[str, str]] = field(default_factory=list)
    accounts: list[Changed] = field(default_factory=list)
    held: list[Part] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    renamed: set[str] = field(default_factory=set)
    parts_released: list[Part] = field(default_factory=list)
    now_waiting: dict[str, str] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    parted: set[str] = field(default_factory=set)
    before: dict[str, Stands] = field(default_factory=dict)
    over: dict[tuple[str, str], int] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget what an earlier attempt to decide has noted; the persons were loaded again."""
        self.admission = Admission()
        for noted in (self.names, self.accounts, self.held, self.withheld, self.parts_released):
            noted.clear()
        self.renamed.clear()
        self.households.clear()
        self.before.clear()

    def whose(self, event: Pushed) -> str:
        """Whom the event names."""
        return self.person_of[event.person.index]

    def keeper(self, event: Pushed) -> str:
        """Whose statement it becomes; while it waits, whom it names."""
        return self.placing.keepers.get(event.event_id) or self.whose(event)


async def load(tx: Tx, new: dict[str, Pushed], request: Request) -> Work:
    person_of, mates = await _identify(tx, (m for e in new.values() for m in (e.person, *e.members)))
    direct = {person_of[e.person.index] for e in new.values()} | set(request.person_ids)
    work = Work(list(new.values()), new, {}, person_of, request)
    spoken_of: set[str] = set()
    for _ in range(LOCK_ROUNDS_MAX):
        found, parts = await quarantine.load_waiting(tx, direct)
        work.waited = {event_id: waited.sealed for event_id, waited in found.items()}
        work.since = {event_id: waited.since for event_id, waited in found.items()}
        work.withdrawn = {event_id for event_id, waited in found.items() if waited.withdrawn}
        work.parts = [Part(*part) for part in parts]
        in_order = sorted(work.waited, key=lambda event_id: (work.since[event_id], event_id))
        waiting = [open_kept(event_id, work.waited[event_id]) for event_id in in_order]
        work.events = [*waiting, *(e for e in new.values() if e.event_id not in work.waited)]  # in order of arrival
        more, joined = await _identify(
            tx, (m for e in waiting for m in (e.person, *e.members) if m.index not in work.person_of)
        )
        work.person_of |= more
        mates |= joined
        # Other persons of identity changes and of own statements are locked, but what waits of them is not decided with
        # this batch: else a line of waiting identity changes would pull in one person after the other.
        await lock(tx, work, {part.household for part in work.parts}, direct | mates | spoken_of)
        if missing := _spoken_of(work, direct) - work.persons.keys():
            spoken_of |= missing
            continue
        work.holders = await _holders(tx, work)  # from behind the locks: nobody can join these circles any more
        circles = {work.persons[p].circle for p in direct} - {None}
        direct |= {p.person_id for p in work.persons.values() if p.circle in circles}  # what waits there may go on now
        if missing := _spoken_of(work, direct) - work.persons.keys():
            spoken_of |= missing
            continue
        if await _still_waiting(tx, work, direct) == {*work.waited, *(part.id for part in work.parts)}:
            break  # nobody changed what waits between looking and locking
    else:
        raise Unavailable("quarantine kept changing")
    return work


def _spoken_of(work: Work, person_ids: Collection[str]) -> set[str]:
    """The persons in whose timelines statements of the platform about these persons stand."""
    own = [o for p in person_ids if p in work.persons for o in work.persons[p].memory.stands.own]
    return {i for o in own for i in (o.person_id, o.keeper)}


async def _still_waiting(tx: Tx, work: Work, direct: Collection[str]) -> set[str]:
    """What waits, seen from behind the locks. Almost always nothing did and nothing does, and no look is needed."""
    if not work.waited and not work.parts and not any(work.persons[person_id].waiting for person_id in direct):
        return set()
    waiting, parts = await quarantine.load_waiting(tx, direct)
    return {*waiting, *(part[0] for part in parts)}


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
