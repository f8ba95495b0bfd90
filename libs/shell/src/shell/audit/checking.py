"""The verifier of an audit log: it computes the chain again from the rows, and compares it with the published heads.

It finds a row that was changed, deleted or inserted, a seal that was changed or removed, and a chain that was made
anew. It does not find the change or deletion of a row in the second before its first seal. Memory use is constant.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import asyncpg

from shell.audit.chain import Seal, digest_of, next_seal
from shell.audit.log import COLUMNS, Audit

ROWS_PER_FETCH: Final = 500
ENTRIES_MAX: Final = 20_000  # of the search tables, in one question
FAULTS_MAX: Final = 100

# Every seal with its rows, in the order of the chain.
_CHAIN: Final = f"""
SELECT s.seal, s.sealed_at, s.rows, s.head, l.audit_id, l.digest, {", ".join(f"a.{name}" for name in Audit._fields)}
FROM audit_seals s LEFT JOIN audit_links l USING (seal) LEFT JOIN audits a ON a.audit_id = l.audit_id
ORDER BY s.seal, l.audit_id
"""  # noqa: S608 - constant columns
_ROWS: Final = f"""
SELECT {COLUMNS}, EXISTS (SELECT 1 FROM audit_links l WHERE l.audit_id = a.audit_id) AS is_sealed,
       EXISTS (SELECT 1 FROM audit_queue q WHERE q.audit_id = a.audit_id) AS waits
FROM audits a ORDER BY audit_id
"""  # noqa: S608 - constant columns
_STRAY_LINKS: Final = """
SELECT audit_id FROM audit_links l WHERE NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.seal = l.seal)
ORDER BY audit_id LIMIT $1
"""
_NOT_IN_LOG: Final = """
SELECT audit_id FROM audit_persons p WHERE NOT EXISTS (SELECT 1 FROM audits a WHERE a.audit_id = p.audit_id)
UNION SELECT audit_id FROM audit_areas p WHERE NOT EXISTS (SELECT 1 FROM audits a WHERE a.audit_id = p.audit_id)
ORDER BY audit_id LIMIT $1
"""
# The entries that a search table lacks.
_MISSING: Final = """
SELECT DISTINCT w.audit_id FROM unnest($1::{type}[], $2::timestamptz[], $3::bigint[], $4::text[])
  AS w ({key}, at, audit_id, actor)
WHERE NOT EXISTS (SELECT 1 FROM {table} e
                  WHERE (e.{key}, e.at, e.audit_id, e.actor) = (w.{key}, w.at, w.audit_id, w.actor))
ORDER BY w.audit_id
"""
_MISSING_PERSONS: Final = _MISSING.format(type="uuid", key="person_id", table="audit_persons")
_MISSING_AREAS: Final = _MISSING.format(type="text", key="area", table="audit_areas")


class Published(NamedTuple):
    """A head on the topic of the service."""

    rows: int
    head: bytes


@dataclass(frozen=True)
class Topic:
    """The heads on the topic of the service. `find(seal)`: the head of a seal, None without one. `oldest`, `newest`:
    the lowest and the highest seal on the topic; 0 for an empty topic. The topic keeps heads for a limited time."""

    find: Callable[[int], Published | None]
    oldest: int = 0
    newest: int = 0


@dataclass
class Found:
    """The result: the number of sealed rows, of rows that wait for a seal, and a sentence for each of the first
    FAULTS_MAX faults."""

    sealed: int = 0
    waiting: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, faults: Iterable[str]) -> None:
        self.faults += islice(faults, FAULTS_MAX - len(self.faults))


async def check(connection: asyncpg.Connection, topic: Topic, settled_at: datetime) -> Found:
    """Check the whole log. It needs a snapshot: a transaction with the isolation `repeatable_read`.

    `settled_at`: each row from before has a seal, and each seal from before is on the topic."""
    found = Found()
    last = await _check_chain(connection, topic, settled_at, found)
    if topic.newest > last:
        found.add([f"seals {last + 1} to {topic.newest} were published and are missing"])
    found.add(f"row {id_}: its seal is missing" for id_ in await _ids(connection, _STRAY_LINKS))
    await _check_rows(connection, settled_at, found)
    found.add(f"row {id_}: a search finds it, and it is not in the log" for id_ in await _ids(connection, _NOT_IN_LOG))
    return found


async def _ids(connection: asyncpg.Connection, statement: str) -> list[int]:
    return [row[0] for row in await connection.fetch(statement, FAULTS_MAX)]


# -- the chain


async def _check_chain(connection: asyncpg.Connection, topic: Topic, settled_at: datetime, found: Found) -> int:
    """Check every seal with its rows. Returns the number of the last seal."""
    before: Seal | None = None
    seal: Seal | None = None
    digests: list[bytes] = []
    async for row in connection.cursor(_CHAIN, prefetch=ROWS_PER_FETCH):
        if seal is None or row["seal"] != seal.seal:
            if seal is not None:
                found.add(_faults_of_seal(seal, before, digests, topic, settled_at))
            before, seal, digests = seal, Seal(*row[:4]), []
        if row[4] is not None:
            digests.append(row["digest"])
            found.sealed += 1
            found.add(_faults_of_row(row[4], row["digest"], row))
    if seal is None:
        return 0
    found.add(_faults_of_seal(seal, before, digests, topic, settled_at))
    return seal.seal


def _faults_of_row(audit_id: int, digest: bytes, row: Any) -> Iterator[str]:
    """Compare a row (of _CHAIN) with its digest."""
    if row[6] is None:
        yield f"row {audit_id} was deleted"
    elif digest_of(Audit(*row[6:])) != digest:
        yield f"row {audit_id} was changed"


def _faults_of_seal(
    seal: Seal, before: Seal | None, digests: list[bytes], topic: Topic, settled_at: datetime
) -> Iterator[str]:
    """Yield the faults of one seal. `digests`: of its rows, as sealed."""
    expected = (before.seal if before else 0) + 1
    if seal.seal != expected:
        yield f"seals {expected} to {seal.seal - 1} are missing"
    elif next_seal(before, seal.sealed_at, digests) != seal:
        yield f"seal {seal.seal} does not follow from its rows and the seal before"
    published = topic.find(seal.seal)
    if published is None and seal.seal >= topic.oldest and seal.sealed_at < settled_at:
        yield f"seal {seal.seal} was never published"
    if published is not None and published != (seal.rows, seal.head):
        yield f"seal {seal.seal} differs from its published head: the chain was made anew"


# -- the rows


class _Entries:
    """Entries that a search table must have, gathered for one question."""

    def __init__(self, connection: asyncpg.Connection, statement: str) -> None:
        self._connection = connection
        self._statement = statement
        self._wanted: list[tuple[str, datetime, int, str]] = []

    def add(self, row: Audit, keys: Iterable[str]) -> None:
        self._wanted += [(key, row.at, row.audit_id, row.actor) for key in keys]

    async def missing(self, *, at_least: int = 1) -> list[int]:
        """Return the ids of the rows of which the table lacks an entry. It asks only for so many entries at least."""
        if len(self._wanted) < at_least:
            return []
        wanted, self._wanted = self._wanted, []
        rows = await self._connection.fetch(self._statement, *map(list, zip(*wanted, strict=True)))
        return [row[0] for row in rows]


async def _check_rows(connection: asyncpg.Connection, settled_at: datetime, found: Found) -> None:
    """Check that each row is sealed or waits for its seal, and is found by its persons and its area."""
    persons, areas = _Entries(connection, _MISSING_PERSONS), _Entries(connection, _MISSING_AREAS)

    async def ask(at_least: int) -> None:
        missing = await persons.missing(at_least=at_least)
        found.add(f"row {id_} is not found by each of its persons" for id_ in missing)
        found.add(f"row {id_} is not found by its area" for id_ in await areas.missing(at_least=at_least))

    async for row in connection.cursor(_ROWS, prefetch=ROWS_PER_FETCH):
        audit = Audit(*row[:-2])
        found.waiting += row["waits"]
        found.add(_faults_of_place(audit, row["is_sealed"], row["waits"], settled_at))
        persons.add(audit, set(audit.persons))
        areas.add(audit, [audit.division] if audit.division else [])
        await ask(ENTRIES_MAX)
    await ask(1)


def _faults_of_place(row: Audit, is_sealed: bool, waits: bool, settled_at: datetime) -> Iterator[str]:
    if not is_sealed and not waits:
        yield f"row {row.audit_id} has no seal: it was inserted, or taken out of the queue"
    if waits and row.at < settled_at:
        yield f"row {row.audit_id} still waits for its seal"
