"""Every SQL statement about the rows of feeds: what each said last, and which are refused."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec
from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.exchange.domain import Earlier, Seen, Told
from ingestion.exchange.places import decoded, encoded
from ingestion.exchange.tables import FeedRejectRow, FeedSeenRow

_encode = msgspec.json.Encoder().encode
_earlier = msgspec.json.Decoder(Earlier)
_SEEN: Final = (
    "feed",
    "row_key",
    "seen_run",
    "version",
    "life",
    "at",
    "mark",
    "raw",
    "line",
    "said",
    "valid_from",
    "valid_to",
    "head",
    "earlier",
)
_KNOWN: Final = "version, life, at, mark, raw, line, said, valid_from, valid_to, head, earlier"
# Alive, and not over by its own word; $3 is today.
_MISSING: Final = """feed = $1 AND seen_run < $2 AND life = 'alive' AND (valid_to IS NULL OR valid_to > $3)"""


class KnownRow(NamedTuple):
    """What is known of a key, and the keyed hash of its cells when they were read last."""

    seen: Seen
    raw: bytes


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


async def lock_rows(tx: Tx, feed: str, keys: Collection[bytes]) -> dict[bytes, KnownRow]:
    rows = await tx.sql.fetch(
        f"""SELECT row_key, {_KNOWN} FROM feed_rows
            WHERE feed = $1 AND row_key = ANY($2::bytea[]) ORDER BY row_key FOR UPDATE""",  # noqa: S608 - constant
        feed,
        list(keys),
    )
    return {row["row_key"]: _known(row) for row in rows}


def _known(row: Any) -> KnownRow:
    told = Told(row["line"], row["said"], row["valid_from"], row["valid_to"]) if row["line"] else None
    mark = decoded(row["mark"]) if row["mark"] else None
    earlier = _earlier.decode(row["earlier"]) if row["earlier"] else ()
    seen = Seen(row["version"], row["life"], row["at"], mark, told, row["head"], earlier)
    return KnownRow(seen, row["raw"])


async def save_rows(tx: Tx, feed: str, run: int, rows: Collection[tuple[bytes, KnownRow]]) -> None:
    values = []
    for key, (seen, raw) in rows:
        told = seen.told or Told(b"", b"", None, None)
        mark = encoded(seen.mark) if seen.mark is not None else b""
        earlier = _encode(seen.earlier) if seen.earlier else b""
        values.append((feed, key, run, seen.version, seen.life, seen.at, mark, raw, *told, seen.head, earlier))
    await bulk.upsert(tx, FeedSeenRow, _SEEN, values, key=("feed", "row_key"))


async def touch_rows(tx: Tx, feed: str, run: int, keys: Collection[bytes]) -> None:
    """They are still there."""
    if keys:
        await tx.sql.execute(
            "UPDATE feed_rows SET seen_run = $2 WHERE feed = $1 AND row_key = ANY($3::bytea[])", feed, run, list(keys)
        )


async def count_missing(tx: Tx, feed: str, run: int, today: date) -> tuple[int, int]:
    """Rows that this run did not see, and rows there were before it."""
    row = await tx.sql.fetchrow(
        f"""SELECT count(*) FILTER (WHERE {_MISSING}),
                   count(*) FILTER (WHERE life = 'alive' AND (valid_to IS NULL OR valid_to > $3))
            FROM feed_rows WHERE feed = $1""",  # noqa: S608 - a constant condition
        feed,
        run,
        today,
    )
    return int(row[0]), int(row[1])


async def lock_missing(tx: Tx, feed: str, run: int, today: date, limit: int) -> dict[bytes, KnownRow]:
    rows = await tx.sql.fetch(
        f"""SELECT row_key, {_KNOWN} FROM feed_rows
            WHERE {_MISSING} ORDER BY row_key LIMIT $4 FOR UPDATE""",  # noqa: S608 - a constant condition
        feed,
        run,
        today,
        limit,
    )
    return {row["row_key"]: _known(row) for row in rows}


# ── rejects ─────────────────────────────────────────────────────────────────────────────────────────────────


async def save_rejects(tx: Tx, rows: Collection[tuple[str, bytes, int, datetime, bytes, bytes]]) -> None:
    columns = ("feed", "row_key", "run", "at", "problems", "sealed")
    await bulk.upsert(tx, FeedRejectRow, columns, list(rows), key=("feed", "row_key"))


async def delete_rejects(tx: Tx, feed: str, keys: Collection[bytes]) -> None:
    if keys:
        await tx.sql.execute(
            "DELETE FROM feed_rejects WHERE feed = $1 AND row_key = ANY($2::bytea[])", feed, list(keys)
        )


async def delete_unseen_rejects(tx: Tx, feed: str, run: int) -> None:
    """Of rows that a full load no longer has."""
    await tx.sql.execute("DELETE FROM feed_rejects WHERE feed = $1 AND run < $2", feed, run)


async def delete_old_rejects(tx: Tx, before: datetime, limit: int) -> int:
    rows = await tx.sql.fetch(
        """DELETE FROM feed_rejects WHERE ctid = ANY(ARRAY(SELECT ctid FROM feed_rejects WHERE at < $1 LIMIT $2))
           RETURNING 1""",
        before,
        limit,
    )
    return len(rows)


async def count_rejects(connection: Any, feeds: Sequence[str]) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT feed, count(*) FROM feed_rejects WHERE feed = ANY($1::text[]) GROUP BY feed", list(feeds)
    )
    return {row[0]: row[1] for row in rows}


async def list_rejects(connection: Any, feed: str, after: bytes, limit: int) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        """SELECT row_key, problems, sealed FROM feed_rejects WHERE feed = $1 AND row_key > $2
           ORDER BY row_key LIMIT $3""",
        feed,
        after,
        limit,
    )
    return rows
