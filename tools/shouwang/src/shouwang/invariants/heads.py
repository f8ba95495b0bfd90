"""Compares the compacted topics with the databases of their owners.

The *head* of a key is its newest record on the topic. It must equal the state that the database row gives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from shell.store.database import Database

from shouwang.invariants.backlog import Databases
from shouwang.invariants.report import Line
from shouwang.invariants.source_rows import SOURCES, Source

PAGE: Final = 2_000
_CAUSES: Final = b',"causes":['
Expected = tuple[str, bytes]  # key and digest


def digest_of(body: bytes) -> bytes:
    """Return the digest of the JSON of a state event without `causes`, the field that the relay adds at the end."""
    at = body.rfind(_CAUSES)
    plain = body if at < 0 else body[:at] + b"}"
    return blake2b(plain, digest_size=16).digest()


class Heads:
    """Stores the digest of every head in a file, so memory use is constant. `check` gets the records in order."""

    def __init__(self, folder: Path, topics: Iterable[str]) -> None:
        self._db = sqlite3.connect(folder / "heads.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE heads (topic TEXT, key TEXT, digest BLOB, seen INTEGER DEFAULT 0, "
            "PRIMARY KEY (topic, key)) WITHOUT ROWID"
        )
        self._topics = frozenset(topics)
        self._unwritten: dict[tuple[str, str], bytes] = {}

    def check(self, record: Any) -> None:
        if record.topic in self._topics and record.key is not None:
            digest = b"" if record.value is None else digest_of(record.value)
            self._unwritten[record.topic, record.key.decode()] = digest
            if len(self._unwritten) >= PAGE:
                self._flush()

    def _flush(self) -> None:
        rows = [(topic, key, digest) for (topic, key), digest in self._unwritten.items()]
        self._db.executemany("INSERT OR REPLACE INTO heads (topic, key, digest) VALUES (?, ?, ?)", rows)
        self._unwritten.clear()

    async def compare(self, topic: str, expected: AsyncIterator[Expected], pending: set[str]) -> Line:
        """Compare the heads of a topic with the expected ones; returns the line with the faults.

        `pending`: keys with a newer state in the outbox, which are not compared.
        """
        self._flush()
        line = Line(f"head of {topic} = the row behind it")
        async for key, digest in expected:
            line.count += 1
            found = self._take(topic, key)
            if key in pending:
                continue
            if found is None:
                line.fault(f"{key}: stored, but never sent")
            elif found != digest:
                line.fault(f"{key}: the newest record differs from the row")
        line.add(f"{key}: sent, but nothing is stored" for key in self._not_taken(topic))
        return line

    def _take(self, topic: str, key: str) -> bytes | None:
        """Mark the head of a key as seen; returns its digest (empty for a record without value), or None."""
        row = self._db.execute("SELECT digest FROM heads WHERE topic = ? AND key = ?", (topic, key)).fetchone()
        self._db.execute("UPDATE heads SET seen = 1 WHERE topic = ? AND key = ?", (topic, key))
        return row[0] if row else None

    def _not_taken(self, topic: str) -> list[str]:
        """Return the keys whose head was not seen by `_take` and has a value."""
        rows = self._db.execute("SELECT key FROM heads WHERE topic = ? AND seen = 0 AND length(digest) > 0", (topic,))
        return [key for (key,) in rows]

    def close(self) -> None:
        self._db.close()


async def compare_heads(heads: Heads, databases: Databases) -> list[Line]:
    """Compare each compacted topic with the database of its owner; returns one line per topic."""
    lines = []
    for topic, source in SOURCES.items():
        database = databases[source.owner]
        lines.append(await heads.compare(topic, _expected(database, source), await _pending(database, topic)))
    return lines


async def _pending(database: Database, topic: str) -> set[str]:
    """Return the keys of a topic with a state in the outbox."""
    async with database.reading() as connection:
        return {row["key"] for row in await connection.fetch("SELECT key FROM outbox WHERE topic = $1", topic)}


async def _expected(database: Database, source: Source) -> AsyncIterator[Expected]:
    """Yield key and digest of each expected head of a topic, loaded in pages."""
    after: str | None = None
    while True:
        async with database.reading() as connection:
            heads = await source.page(connection, after, PAGE, False)
        for head in heads:
            yield head.key, digest_of(head.body)
        if len(heads) < PAGE:
            return
        after = heads[-1].key
