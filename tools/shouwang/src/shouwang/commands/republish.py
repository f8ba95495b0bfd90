"""`shouwang republish TOPIC`: send the newest state of every key of a compacted topic again, from the database rows.

Use it for a topic that was deleted or has lost records. Consumers ignore versions that they know. Live changes go on:
a page of rows is locked while it is written to the outbox, and a newer state replaces an older pending one. If a run
is interrupted while it writes, the next run continues at its last key.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import asyncpg
from shell.store.database import Database
from shell.store.transaction import Tx

from shouwang.invariants.source_rows import SOURCES
from shouwang.runtime import machine
from shouwang.runtime.databases import open_database
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.terminal import show_progress

PAGE: Final = 500
PENDING_MAX: Final = 2_000  # outbox rows before the next page is written
STANDSTILL_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1
TRIES_MAX: Final = 5


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 when the state of every key has been sent."""
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    runtime.create_topics()
    started = monotonic()
    count = asyncio.run(republish(runtime, given.topic, restart=given.restart, say=show_progress))
    show_progress("")
    print(f"{count:,} states of {given.topic} sent again, {monotonic() - started:.1f} s")
    print("`shouwang verify` compares the topic with its rows")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang republish", description=__doc__)
    parser.add_argument("topic", choices=sorted(SOURCES))
    parser.add_argument("--restart", action="store_true", help="from the first key, even if a run was interrupted")
    return parser


async def republish(
    runtime: Runtime, topic: str, *, restart: bool = False, say: Callable[[str], None] = lambda text: None
) -> int:
    """Write every newest state of `topic` to the outbox of its owner. Wait until the relay has sent them.

    Returns the number of states that this run wrote. `restart`: begin with the first key. `say` gets each line of
    progress. Raises LocalProblem if the database does not answer or stays too busy, or if the outbox does not shrink.
    """
    owner = SOURCES[topic].owner
    async with open_database(runtime, owner) as database:
        if restart:
            await database.pool.execute("DELETE FROM job_marks WHERE job = $1", _job(topic))
        done = await write_pages(database, topic, say=say)
        await _wait_for_relay(database, topic, pending_max=0)
    return done


async def write_pages(
    database: Database, topic: str, *, pages_max: int | None = None, say: Callable[[str], None] = lambda text: None
) -> int:
    """Write states to the outbox page by page, from the last written key on; returns the number of states written.

    `pages_max`: stop after so many pages. `say` gets each line of progress. Raises LocalProblem if the database stays
    too busy, or if the outbox does not shrink.
    """
    total, done, pages = await database.pool.fetchval(SOURCES[topic].count_statement), 0, 0
    while pages_max is None or pages < pages_max:
        await _wait_for_relay(database, topic)
        written = await _write_page(database, topic)
        done, pages = done + written, pages + 1
        say(f"{topic}: {done:,} of {total:,} written")
        if written < PAGE:
            break
    return done


def _job(topic: str) -> str:
    return f"republish {topic}"


async def _write_page(database: Database, topic: str) -> int:
    """Call `_write_page_once`, and again after a deadlock with a live writer: at most TRIES_MAX times in all.

    Returns the number of states written. Raises LocalProblem after the last deadlock.
    """
    for tries in range(1, TRIES_MAX + 1):
        try:
            return await _write_page_once(database, topic)
        except asyncpg.DeadlockDetectedError as error:
            if tries == TRIES_MAX:
                raise LocalProblem(f"{database.schema} is too busy: run the command again, it continues.") from error
    raise AssertionError("unreachable")


async def _write_page_once(database: Database, topic: str) -> int:
    """Write a page of states and the mark of its last key in one transaction; returns the number of states."""
    async with database.transaction() as tx:
        after = await tx.sql.fetchval("SELECT mark FROM job_marks WHERE job = $1 FOR UPDATE", _job(topic))
        heads = await SOURCES[topic].page(tx.sql, after, PAGE, True)
        for head in heads:
            tx.emit_stored(head.event, encoded=None if head.kept else head.body, division=head.division)
        await _save_mark(tx, topic, heads[-1].key if len(heads) == PAGE else None)
    return len(heads)


async def _save_mark(tx: Tx, topic: str, key: str | None) -> None:
    """Store the last written key; None: all keys are written."""
    if key is None:
        await tx.sql.execute("DELETE FROM job_marks WHERE job = $1", _job(topic))
        return
    await tx.sql.execute(
        """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
           ON CONFLICT (job) DO UPDATE SET mark = excluded.mark, moved_at = now()""",
        _job(topic),
        key,
    )


async def _wait_for_relay(database: Database, topic: str, pending_max: int = PENDING_MAX) -> None:
    """Wait until the outbox has at most `pending_max` states of `topic`. Raises LocalProblem if it does not shrink."""
    least, shrunk_at = None, monotonic()
    while True:
        pending = await database.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", topic)
        if pending <= pending_max:
            return
        if least is None or pending < least:
            least, shrunk_at = pending, monotonic()
        if monotonic() - shrunk_at > STANDSTILL_SECONDS_MAX:
            raise LocalProblem(
                f"{database.schema} has sent nothing of {topic} for {STANDSTILL_SECONDS_MAX:.0f} s "
                f"({pending:,} wait): start it, then run the command again. It continues at its last key."
            )
        await asyncio.sleep(LOOK_SECONDS)
