"""Every SQL statement about the rows of feeds: the state of each key, and the rejected rows."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec
from shell.store import bulk, reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from ingestion.exchange.domain.states import Content, FormerPeriods, KeyState
from ingestion.exchange.positions import decoded, encoded
from ingestion.exchange.tables import FeedRejectRow, FeedSeenRow

_encode = msgspec.json.Encoder().encode
_former = msgspec.json.Decoder(FormerPeriods)
_STATE: Final = ("version", "life", "at", "mark", "raw", "line", "said", "valid_from", "valid_to", "head", "earlier")
_SEEN: Final = ("feed", "row_key", "seen_run", *_STATE)
_KNOWN: Final = ", ".join(_STATE)
# Rows that the run $2 did not find, that are alive, and whose own end is after $3 (today).
_MISSING: Final = """feed = $1 AND seen_run < $2 AND life = 'alive' AND (valid_to IS NULL OR valid_to > $3)"""


class KnownRow(NamedTuple):
    """The stored row of a key. `raw`: keyed hash of the cells when the row was read last; empty to decide the row again
    next time."""

    state: KeyState
    raw: bytes


class RowReject(NamedTuple):
    """A rejected row. `problems`: JSON; `sealed`: its cells."""

    feed: str
    row_key: bytes
    run: int
    at: datetime
    problems: bytes
    sealed: bytes


class StoredReject(NamedTuple):
    row_key: bytes
    problems: bytes
    sealed: bytes


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


async def lock_rows(tx: Tx, feed: str, keys: Collection[bytes]) -> dict[bytes, KnownRow]:
    rows = await tx.sql.fetch(
        f"""SELECT row_key, {_KNOWN} FROM feed_rows
            WHERE feed = $1 AND row_key = ANY($2::bytea[]) ORDER BY row_key FOR UPDATE""",  # noqa: S608 - constant
        feed,
        list(keys),
    )
    return {row["row_key"]: _known(row) for row in rows}


def _known(row: asyncpg.Record) -> KnownRow:
    watermark = decoded(row["mark"]) if row["mark"] else None
    former = _former.decode(row["earlier"]) if row["earlier"] else ()
    state = KeyState(row["version"], row["life"], row["at"], watermark, _content(row), row["head"], former)
    return KnownRow(state, row["raw"])


def _content(row: asyncpg.Record) -> Content | None:
    """The content in a stored row; None for a key of which only a deletion was read."""
    return Content(row["line"], row["said"], row["valid_from"], row["valid_to"]) if row["line"] else None


async def save_rows(tx: Tx, feed: str, run: int, rows: Collection[tuple[bytes, KnownRow]]) -> None:
    values = [(feed, key, run, *_values(known)) for key, known in rows]
    await bulk.upsert(tx, FeedSeenRow, _SEEN, values, key=("feed", "row_key"))


def _values(known: KnownRow) -> tuple[object, ...]:
    """The values of a row, in the order of `_STATE`."""
    state = known.state
    content = state.content or Content(b"", b"", None, None)
    mark = encoded(state.watermark) if state.watermark is not None else b""
    earlier = _encode(state.former) if state.former else b""
    return (state.version, state.life, state.at, mark, known.raw, *content, state.head, earlier)


async def touch_rows(tx: Tx, feed: str, run: int, keys: Collection[bytes]) -> None:
    """Note that this run found the rows with these keys."""
    if keys:
        await tx.sql.execute(
            "UPDATE feed_rows SET seen_run = $2 WHERE feed = $1 AND row_key = ANY($3::bytea[])", feed, run, list(keys)
        )


async def count_missing(tx: Tx, feed: str, run: int, today: date) -> int:
    """Count the missing rows: they are alive, their own end is not over, and this run has not found them. When the run
    begins, no row is found yet."""
    found: int = await tx.sql.fetchval(
        f"SELECT count(*) FROM feed_rows WHERE {_MISSING}",  # noqa: S608 - a constant condition
        feed,
        run,
        today,
    )
    return found


async def lock_missing(tx: Tx, feed: str, run: int, today: date, limit: int) -> dict[bytes, KnownRow]:
    """Lock and load at most `limit` missing rows (see `count_missing`), by row key."""
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


async def save_rejects(tx: Tx, rows: Collection[RowReject]) -> None:
    await bulk.upsert(tx, FeedRejectRow, RowReject._fields, list(rows), key=("feed", "row_key"))


async def delete_rejects(tx: Tx, feed: str, keys: Collection[bytes]) -> None:
    if keys:
        await tx.sql.execute(
            "DELETE FROM feed_rejects WHERE feed = $1 AND row_key = ANY($2::bytea[])", feed, list(keys)
        )


async def delete_unseen_rejects(tx: Tx, feed: str, run: int) -> None:
    """Delete the rejected rows that the full load `run` did not find."""
    await tx.sql.execute("DELETE FROM feed_rejects WHERE feed = $1 AND run < $2", feed, run)


async def delete_old_rejects(tx: Tx, before: datetime, limit: int) -> int:
    rows = await tx.sql.fetch(
        """DELETE FROM feed_rejects WHERE ctid = ANY(ARRAY(SELECT ctid FROM feed_rejects WHERE at < $1 LIMIT $2))
           RETURNING 1""",
        before,
        limit,
    )
    return len(rows)


async def count_rejects(connection: asyncpg.Connection, feeds: Sequence[str]) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT feed, count(*) FROM feed_rejects WHERE feed = ANY($1::text[]) GROUP BY feed", list(feeds)
    )
    return {row[0]: row[1] for row in rows}


@reads.rows(StoredReject)
def list_rejects(feed: str, after: bytes, limit: int) -> Select[FeedRejectRow]:
    """List a page of rejected rows in the order of their keys. `after`: the last key of the page before."""
    return (
        select(FeedRejectRow)
        .where(FeedRejectRow.feed == feed, FeedRejectRow.row_key > after)
        .order_by(col(FeedRejectRow.row_key))
        .limit(limit)
    )
