"""Every SQL statement about feeds and their runs."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from shell.store import reads
from shell.store.reads import Select, col, if_given, select
from shell.store.transaction import Tx

from ingestion.exchange.tables import FeedRow, FeedRunRow


class StoredFeed(NamedTuple):
    """A row of `feeds` (`ingestion.exchange.tables.FeedRow`)."""

    feed: str
    state: str
    run: int
    newest: bytes
    cursor: bytes
    from_start: bool
    headers: bytes
    failures: int
    problem: bytes
    problem_at: datetime | None
    worked_at: datetime | None
    next_at: datetime | None


class StoredRun(NamedTuple):
    """A row of `feed_runs` (`ingestion.exchange.tables.FeedRunRow`)."""

    feed: str
    run: int
    state: str
    started_at: datetime
    finished_at: datetime | None
    rows_before: int | None
    known_before: int | None
    rows_read: int
    accepted: int
    unchanged: int
    quarantined: int
    rejected: int
    missing: int
    ended: int
    problem: bytes
    confirmed_by: str | None


class Advance(NamedTuple):
    """The result of one page of a run: positions, and numbers of rows by result.

    `cursor`: the sealed position at which the page begins. `to`: the sealed position at which it ends, None to keep the
    cursor. `newest`: the newest watermark, sealed; None to keep the stored one."""

    run: int
    cursor: bytes
    to: bytes | None
    newest: bytes | None
    accepted: int
    unchanged: int
    quarantined: int
    rejected: int


_FEED: Final = ", ".join(StoredFeed._fields)
_RUN: Final = ", ".join(StoredRun._fields)


# ── feeds and runs ──────────────────────────────────────────────────────────────────────────────────────────


async def enter(connection: asyncpg.Connection, feeds: Collection[str]) -> None:
    """Insert a row for each of these feeds that has none."""
    await connection.execute("INSERT INTO feeds (feed) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", sorted(feeds))


async def list_due(connection: asyncpg.Connection, feeds: Collection[str], now: datetime) -> list[str]:
    """List those of `feeds` that are due. The feed that has waited longest comes first."""
    rows = await connection.fetch(
        """SELECT feed FROM feeds WHERE feed = ANY($1::text[]) AND (next_at IS NULL OR next_at <= $2)
           ORDER BY worked_at NULLS FIRST, feed""",
        sorted(feeds),
        now,
    )
    return [row[0] for row in rows]


async def load_feeds(connection: asyncpg.Connection, feeds: Collection[str]) -> dict[str, StoredFeed]:
    rows = await connection.fetch(f"SELECT {_FEED} FROM feeds WHERE feed = ANY($1::text[])", list(feeds))  # noqa: S608
    return {feed.feed: feed for feed in map(StoredFeed._make, rows)}


@reads.existing_row(StoredFeed)
def load_feed(feed: str) -> Select[FeedRow]:
    """Load a feed, which must have been entered before."""
    return select(FeedRow).where(FeedRow.feed == feed)


@reads.row(StoredFeed)
def lock_feed(feed: str) -> Select[FeedRow]:
    return select(FeedRow).where(FeedRow.feed == feed).with_for_update()


@reads.existing_row(StoredRun)
def load_run(feed: str, run: int) -> Select[FeedRunRow]:
    """Load a run, which must exist."""
    return select(FeedRunRow).where(FeedRunRow.feed == feed, FeedRunRow.run == run)


async def load_newest_runs(connection: asyncpg.Connection, feeds: Collection[str]) -> dict[str, StoredRun]:
    rows = await connection.fetch(
        f"SELECT DISTINCT ON (feed) {_RUN} FROM feed_runs WHERE feed = ANY($1::text[]) ORDER BY feed, run DESC",  # noqa: S608
        list(feeds),
    )
    return {run.feed: run for run in map(StoredRun._make, rows)}


@reads.rows(StoredRun)
def list_runs(feed: str, before: int | None, limit: int) -> Select[FeedRunRow]:
    """List runs of a feed, newest first. `before`: only runs with a smaller number."""
    return (
        select(FeedRunRow)
        .where(FeedRunRow.feed == feed, if_given(before, col(FeedRunRow.run) < before))
        .order_by(col(FeedRunRow.run).desc())
        .limit(limit)
    )


async def try_lock(connection: asyncpg.Connection, feed: str) -> bool:
    """Lock the feed for one worker, until `unlock` or the end of the connection."""
    found: bool = await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"feed/{feed}")
    return found


async def unlock(connection: asyncpg.Connection, feed: str) -> None:
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", f"feed/{feed}")


async def begin_step(connection: asyncpg.Connection, feed: str, outlived: bool) -> int:
    """Count a step before it begins. Returns the number of earlier steps that did not end. `outlived`: the last step
    ended, but could not be uncounted."""
    found: int = await connection.fetchval(
        "UPDATE feeds SET deaths = CASE WHEN $2 THEN 1 ELSE deaths + 1 END WHERE feed = $1 RETURNING deaths - 1",
        feed,
        outlived,
    )
    return found


async def end_step(connection: asyncpg.Connection, feed: str, left: int) -> None:
    """Set the number of steps in a row that began and did not end to `left`."""
    await connection.execute("UPDATE feeds SET deaths = $2 WHERE feed = $1", feed, left)


async def begin_run(tx: Tx, feed: str, rows: int | None, known: int | None, headers: bytes, at: datetime) -> None:
    """Begin the next run. `rows`: number of rows in the table, `known`: number of stored rows that are alive, both for
    a full load only; `headers`: the columns, sealed."""
    await tx.sql.execute(
        """WITH begun AS (UPDATE feeds SET state = 'reading', run = run + 1, cursor = '', headers = $3, worked_at = $4,
                                 newest = CASE WHEN from_start THEN ''::bytea ELSE newest END, from_start = false
                          WHERE feed = $1 RETURNING run)
           INSERT INTO feed_runs (feed, run, state, started_at, rows_before, known_before)
           SELECT $1, run, 'reading', $4, $2, $5 FROM begun""",
        feed,
        rows,
        headers,
        at,
        known,
    )


async def advance(tx: Tx, feed: str, by: Advance, at: datetime) -> bool:
    """Move the cursor and add the counts of a page. False if the cursor is not where this page began."""
    found = await tx.sql.fetchval(
        """UPDATE feeds SET cursor = coalesce($4, cursor), newest = coalesce($5, newest), worked_at = $6,
                  failures = 0, problem = '', problem_at = NULL
           WHERE feed = $1 AND run = $2 AND cursor = $3 AND state = 'reading' RETURNING 1""",
        feed,
        by.run,
        by.cursor,
        by.to,
        by.newest,
        at,
    )
    if found:
        await tx.sql.execute(
            """UPDATE feed_runs SET rows_read = rows_read + $3 + $4 + $5 + $6, accepted = accepted + $3,
                      unchanged = unchanged + $4, quarantined = quarantined + $5, rejected = rejected + $6
               WHERE feed = $1 AND run = $2""",
            feed,
            by.run,
            by.accepted,
            by.unchanged,
            by.quarantined,
            by.rejected,
        )
    return bool(found)


async def settle_run(
    tx: Tx, feed: str, run: int, *, state: str, next_at: datetime, missing: int, problem: bytes, at: datetime
) -> None:
    """Store that the reading of a run is over. `state`: `done`, `unsure` (the table changed meanwhile), `held` (an
    officer must confirm), or `ending` (the facts of missing rows end now)."""
    await tx.sql.execute(
        """UPDATE feeds SET state = $3, cursor = '', next_at = CASE WHEN from_start THEN $5::timestamptz ELSE $4 END,
                  worked_at = $5, failures = 0, problem = $6,
                  problem_at = CASE WHEN $6 = ''::bytea THEN NULL ELSE $5::timestamptz END
           WHERE feed = $1 AND run = $2""",
        feed,
        run,
        state if state in ("held", "ending") else "idle",
        next_at,
        at,
        problem,
    )
    await tx.sql.execute(
        """UPDATE feed_runs SET state = $3, missing = $4, problem = $5,
                  finished_at = CASE WHEN $3 = 'ending' THEN NULL ELSE $6::timestamptz END
           WHERE feed = $1 AND run = $2""",
        feed,
        run,
        state,
        missing,
        problem,
        at,
    )


async def confirm_run(tx: Tx, feed: str, run: int, by: str, at: datetime) -> None:
    """Let the facts of the missing rows of a held run end, because an officer (`by`) has confirmed them."""
    await tx.sql.execute(
        """UPDATE feeds SET state = 'ending', next_at = $2, problem = '', problem_at = NULL WHERE feed = $1""", feed, at
    )
    await tx.sql.execute(
        """UPDATE feed_runs SET state = 'ending', confirmed_by = $3, finished_at = NULL, problem = ''
           WHERE feed = $1 AND run = $2""",
        feed,
        run,
        by,
    )


async def count_ended(tx: Tx, feed: str, run: int, ended: int, at: datetime) -> None:
    await tx.sql.execute("UPDATE feed_runs SET ended = ended + $3 WHERE feed = $1 AND run = $2", feed, run, ended)
    await tx.sql.execute(
        "UPDATE feeds SET worked_at = $2, failures = 0, problem = '', problem_at = NULL WHERE feed = $1", feed, at
    )


async def fail(tx: Tx, feed: str, problem: bytes, next_at: datetime, at: datetime) -> None:
    """Store why the feed cannot be read now, and when the next try is. The cursor does not change."""
    await tx.sql.execute(
        """UPDATE feeds SET failures = failures + 1, problem = $2, problem_at = $4, next_at = $3, worked_at = $4
           WHERE feed = $1""",
        feed,
        problem,
        next_at,
        at,
    )


async def ask_for_run(tx: Tx, feed: str, from_start: bool, at: datetime) -> None:
    await tx.sql.execute(
        "UPDATE feeds SET next_at = $3, from_start = from_start OR $2 WHERE feed = $1", feed, from_start, at
    )


async def forget_runs(tx: Tx, feed: str, run: int, kept: int) -> None:
    """Delete runs before `run`: those without any change, and those beyond the newest `kept`."""
    await tx.sql.execute(
        """DELETE FROM feed_runs WHERE feed = $1 AND run < $2 AND
             (run < (SELECT run FROM feed_runs WHERE feed = $1 ORDER BY run DESC OFFSET $3 LIMIT 1)
              OR (state = 'done' AND rows_read = unchanged AND ended = 0 AND problem = ''
                  AND confirmed_by IS NULL))""",
        feed,
        run,
        kept,
    )
