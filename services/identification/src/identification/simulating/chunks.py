"""What another list would do to the people of a chunk: read, decided twice, added up. Runs in a worker process."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from common.codes import divisions
from common.events import EntitlementsDecided as Decision
from rules.deciding.lists import Lists
from rules.deciding.traits import ANYTHING, read_traits
from rules.form.policy import NATION, PolicyList
from rules.money.effects import Effect, Window, effect_of
from rules.money.tallies import Stored, Tally, group_key
from rules.proof.edits import Edit
from shell.store.database import Database

from identification.deciding.decisions import PAUSE_EVERY, decision_of, inputs_of
from identification.deciding.domain.decision import Person, decide_person
from identification.deciding.store import people as people_store
from identification.lists.in_force import Running, running_at
from identification.lists.store import lists as lists_store
from identification.simulating import store

PAGE: Final = 500  # some megabytes
_KEPT_MAX: Final = 2
_TOUCHED_MAX: Final = 200_000
_decode_list = msgspec.json.Decoder(PolicyList).decode
_databases: dict[str, Database] = {}  # of a worker: one
_prepared: dict[str, "Question"] = {}
_touched: dict[tuple[str, str], bool] = {}


class Question(NamedTuple):
    """`base`: the lists in force; `proposed`: the same with one area's list exchanged; `edit`: the step between.
    `known_at`: later knowledge is left out. `trusting`: stored decisions are those of `base` (but for news since)."""

    simulation_id: str
    area: str
    base_seq: int
    base: Running
    proposed: Lists
    edit: Edit
    window: Window
    known_at: datetime
    trusting: bool


class Answer(NamedTuple):
    """`people`: how many were looked at. `tally`: JSON of `Stored`. `changes`: (person_id, fen more or less over the
    window) of everybody whose decision changes."""

    people: int
    tally: bytes
    changes: list[tuple[str, int]]


def basis_of(running: Running, area: str) -> str:
    """Names what the people of an area are decided by: its own list, those above it and those within it, and what is
    told there."""
    parts: dict[str, Any] = dict(running.versions)
    parts |= {f"{division}/told": feeds for division, feeds in running.lists.coverage.declared.items()}
    places = {name: name.partition("/")[0] for name in parts}
    counted = {n: parts[n] for n, a in places.items() if divisions.within(area, a) or divisions.within(a, area)}
    return sha256(msgspec.json.encode(counted, order="sorted")).hexdigest()[:16]


def simulate_chunk(url: str, simulation_id: str, n: int) -> Answer:
    """`url`: of the service's database. The worker keeps its connection and its compiled lists for the next chunk."""
    return _loop().run(_simulate_chunk(url, simulation_id, n))


@cache
def _loop() -> asyncio.Runner:
    return asyncio.Runner()


async def _simulate_chunk(url: str, simulation_id: str, n: int) -> Answer:
    database = _databases.get(url)
    if database is None:
        database = Database(url, "identification", connections_max=1)
        await database.open()
        _databases[url] = database
    return await answer_chunk(database, simulation_id, n)


async def answer_chunk(database: Database, simulation_id: str, n: int) -> Answer:
    async with database.reading() as connection:
        question = await question_of(connection, simulation_id)
        after, upto = await store.load_chunk(connection, simulation_id, n)
        return await _answer(connection, question, after, upto)


async def question_of(connection: asyncpg.Connection, simulation_id: str) -> Question:
    found = _prepared.get(simulation_id)
    if found is None:
        row = await store.load_simulation(connection, simulation_id)
        base = await running_at(connection, (row["base_seq"], row["base_digest"]))
        while len(_prepared) >= _KEPT_MAX:
            del _prepared[next(iter(_prepared))]
        proposed = with_list(base, _decode_list(row["list"]))
        found = _prepared[simulation_id] = Question(
            simulation_id,
            row["jurisdiction"],
            row["base_seq"],
            base,
            proposed,
            Edit(base.lists, proposed),
            window_of(row),
            row["known_at"],
            row["settled"] and not row["replayed"],
        )
    return found


def with_list(base: Running, proposed: PolicyList) -> Lists:
    """Under the same coverage."""
    lists = {**base.lists.by_area, proposed.jurisdiction: proposed}
    return Lists(lists.values(), coverage=base.lists.coverage)


def window_of(row: Any) -> Window:
    return Window.of(row["first_month"], row["months"], demo=row["demo"])


async def _answer(connection: asyncpg.Connection, question: Question, after: str | None, upto: str | None) -> Answer:
    """Page by page, so that memory does not grow with the chunk. Whom the list cannot touch is not decided again, and
    of them not even the facts are read."""
    tally, changes, looked_at, full = Tally(), list[tuple[str, int]](), 0, True
    while full:
        page = await people_store.list_traits_between(connection, after, upto, PAGE)
        here = [(person_id, line) for person_id, line in page if line is not None and belongs(question.area, line)]
        touched = {person_id for person_id, line in here if not question.trusting or _touches(question, line)}
        spared = [person_id for person_id, _ in here if person_id not in touched]
        people = await people_store.load_people(connection, spared, without_facts=True)
        newer = await lists_store.digests_after(connection, question.base_seq) - {question.base.digest}
        again = [p.person_id for p in people if not _is_of_base(p, question, newer)]
        sides = [(p, decision, decision) for p in people if p.person_id not in again and (decision := decision_of(p))]
        for person in await people_store.load_people(connection, [*touched, *again]):
            sides += _decided(person, question, newer)
        for n, (person, before, now) in enumerate(sides, 1):
            effect = _count(tally, person, before, now, question.window)
            looked_at += effect is not None
            if effect is not None and effect.changed:
                changes.append((person.person_id, effect.figures.net_fen))
            if n % PAUSE_EVERY == 0:
                await asyncio.sleep(0)  # where the service itself does it
        full = len(page) == PAGE
        after = page[-1][0] if page else after
    return Answer(looked_at, msgspec.json.encode(tally.stored()), changes)


@lru_cache(maxsize=65536)
def belongs(area: str, line: str) -> bool:
    """Whether a list of an area may say anything about people of these traits."""
    if area == NATION or line == ANYTHING:
        return True
    traits = read_traits(line)
    places = [*traits.hukous, *(division for division, _ in traits.residences)]
    return any(place and divisions.within(place, area) for place in places)


def _touches(question: Question, line: str) -> bool:
    known = _touched.get((question.simulation_id, line))
    if known is None:
        if len(_touched) >= _TOUCHED_MAX:
            _touched.clear()
        known = _touched[question.simulation_id, line] = question.edit.touches(line)
    return known


def _is_of_base(person: Person, question: Question, newer: set[str]) -> bool:
    """Whether the stored decision is what the lists in force said of what was known."""
    return question.trusting and person.recorded_at <= question.known_at and person.policy_digest not in newer


def _decided(person: Person, question: Question, newer: set[str]) -> Iterator[tuple[Person, Decision, Decision]]:
    """By the lists in force and by the proposed one; nobody where nothing was known yet."""
    inputs = inputs_of(person)
    if inputs is None:
        return
    before = decision_of(person) if _is_of_base(person, question, newer) else None
    if before is None:
        before, _ = decide_person(inputs, question.base.lists, question.known_at)
    after, facts = decide_person(inputs, question.proposed, question.known_at)
    if facts:
        yield person, before, after


def _count(tally: Tally, person: Person, before: Decision, after: Decision, window: Window) -> Effect | None:
    """None where this is nobody: merged into another, or long dead and paid."""
    gone = after.died_on is not None and after.died_on < window.first
    if after.merged_into or (gone and before.entitlements == after.entitlements):
        return None
    effect = effect_of(before.entitlements, after.entitlements, window, after.died_on)
    key = group_key(after.birth_date, after.residence, after.hukou, window)
    tally.count(person.person_id, key, before.entitlements, after.entitlements, effect, window)
    return effect


def tally_of(stored: bytes | None) -> Tally:
    return Tally.of(msgspec.json.decode(stored, type=Stored)) if stored else Tally()
