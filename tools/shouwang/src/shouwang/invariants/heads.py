"""The newest record per key of the compacted topics, held against the row behind it."""

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
Expected = tuple[str, bytes]  # key, digest of the body without causes


def digest_of(body: bytes) -> bytes:
    """Of a state event as it lies on its topic; the causes, which the relay adds last, do not count."""
    at = body.rfind(_CAUSES)
    plain = body if at < 0 else body[:at] + b"}"
    return blake2b(plain, digest_size=16).digest()


class Heads:
    """A looker that remembers the head of every key, on disk."""

    def __init__(self, folder: Path, topics: Iterable[str]) -> None:
        self._db = sqlite3.connect(folder / "heads.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE heads (topic TEXT, key TEXT, digest BLOB, seen INTEGER DEFAULT 0, "
            "PRIMARY KEY (topic, key)) WITHOUT ROWID"
        )
        self._topics = frozenset(topics)
        self._fresh: dict[tuple[str, str], bytes] = {}

    def look(self, record: Any) -> None:
        if record.topic in self._topics and record.key is not None:
            body = record.value
            self._fresh[record.topic, record.key.decode()] = b"" if body is None else digest_of(body)
            if len(self._fresh) >= PAGE:
                self._flush()

    def _flush(self) -> None:
        rows = [(topic, key, digest) for (topic, key), digest in self._fresh.items()]
        self._db.executemany("INSERT OR REPLACE INTO heads (topic, key, digest) VALUES (?, ?, ?)", rows)
        self._fresh.clear()

    async def compare(self, topic: str, expected: AsyncIterator[Expected], on_the_way: set[str]) -> Line:
        """`on_the_way`: keys whose next state still waits in the outbox."""
        self._flush()
        line = Line(f"head of {topic} = the row behind it")
        async for key, digest in expected:
            line.count += 1
            row = self._db.execute("SELECT digest FROM heads WHERE topic = ? AND key = ?", (topic, key)).fetchone()
            self._db.execute("UPDATE heads SET seen = 1 WHERE topic = ? AND key = ?", (topic, key))
            if key in on_the_way:
                continue
            if row is None:
                line.fault(f"{key}: never said")
            elif row[0] != digest:
                line.fault(f"{key}: what was said last is not what is stored")
        for (key,) in self._db.execute("SELECT key FROM heads WHERE topic = ? AND seen = 0 AND digest <> ''", (topic,)):
            line.fault(f"{key}: said, but nothing is stored")
        return line

    def close(self) -> None:
        self._db.close()


async def compare_heads(heads: Heads, databases: Databases) -> list[Line]:
    """Every compacted topic against its owner."""
    lines = []
    for topic, source in SOURCES.items():
        database = databases[source.owner]
        async with database.reading() as connection:
            pending = await connection.fetch("SELECT key FROM outbox WHERE topic = $1", topic)
        lines.append(await heads.compare(topic, _expected(database, source), {row["key"] for row in pending}))
    return lines


async def _expected(database: Database, source: Source) -> AsyncIterator[Expected]:
    """Every head that must lie on the topic, a page at a time."""
    after: str | None = None
    while True:
        async with database.reading() as connection:
            heads = await source.page(connection, after, PAGE, False)
        for head in heads:
            yield head.key, digest_of(head.body)
        if len(heads) < PAGE:
            return
        after = heads[-1].key
