"""`shouwang republish TOPIC`: send the newest state of every key of a compacted topic again, from the rows behind it.

For a topic that was deleted, or lost records. Consumers receive versions that they know and leave them alone. Live
changes go on: a page of rows is locked while it is written to the outbox, and a newer state replaces an older one
that still waits there. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import asyncpg
from shell.store.database import Database

from shouwang.commands.offsets import open_database
from shouwang.commands.verify import progress
from shouwang.invariants.source_rows import SOURCES, Head
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

PAGE: Final = 500
PENDING_MAX: Final = 2_000  # rows that may wait in the outbox before the next page is written
STANDSTILL_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1
TRIES_MAX: Final = 5


def main(arguments: Sequence[str]) -> int:
    """Exit 0 when every key is in the outbox."""
    parser = argparse.ArgumentParser(prog="shouwang republish", description=__doc__)
    parser.add_argument("topic", choices=sorted(SOURCES))
    parser.add_argument("--restart", action="store_true", help="from the first key, even if a run was interrupted")
    given = parser.parse_args(arguments)
    from shouwang.runtime.machine import local_runtime

    runtime = local_runtime()
    if not runtime.kafka_answers():
        raise LocalProblem(f"Kafka at {runtime.kafka_address} does not answer: run `shouwang up`.")
    runtime.create_topics()
    started = monotonic()
    count = asyncio.run(republish(runtime, given.topic, restart=given.restart, say=progress))
    progress("")
    print(f"{count:,} states of {given.topic} sent again, {monotonic() - started:.1f} s")
    print("`shouwang verify` compares the topic with the rows behind it")
    return 0


async def republish(
    runtime: Runtime, topic: str, *, restart: bool = False, say: Callable[[str], None] = lambda text: None
) -> int:
    """Write every head of `topic` to its owner's outbox, PAGE at a time; returns how many. The owner's relay sends
    them. Raises LocalProblem while nothing is sent."""
    owner = SOURCES[topic].owner
    async with open_database(runtime, owner) as database:
        if restart:
            await database.pool.execute("DELETE FROM job_marks WHERE job = $1", _job(topic))
        done = await write_pages(database, topic, say=say)
        await _until_few_wait(database, topic, pending_max=0)
    return done


async def write_pages(
    database: Database, topic: str, *, pages_max: int | None = None, say: Callable[[str], None] = lambda text: None
) -> int:
    """From where the last run stopped, at most so many pages; returns how many heads."""
    total, done, pages = await database.pool.fetchval(SOURCES[topic].count_statement), 0, 0
    while pages_max is None or pages < pages_max:
        await _until_few_wait(database, topic)
        written = await _write_page(database, topic)
        done, pages = done + written, pages + 1
        say(f"{topic}: {done:,} of {total:,} written")
        if written < PAGE:
            break
    return done


def _job(topic: str) -> str:
    return f"republish {topic}"


async def _write_page(database: Database, topic: str) -> int:
    """One bounded step: a page of heads and the mark of its last key in one transaction. A deadlock with a live writer
    is tried again."""
    for tries in range(1, TRIES_MAX + 1):
        try:
            return await _write_page_once(database, topic)
        except asyncpg.DeadlockDetectedError as error:
            if tries == TRIES_MAX:
                raise LocalProblem(f"{database.schema} is too busy: run the command again, it goes on.") from error
    raise AssertionError("unreachable")


async def _write_page_once(database: Database, topic: str) -> int:
    async with database.transaction() as tx:
        after = await tx.sql.fetchval("SELECT mark FROM job_marks WHERE job = $1 FOR UPDATE", _job(topic))
        heads = await SOURCES[topic].page(tx.sql, after, PAGE, True)
        for head in heads:
            _emit(tx.emit, head)
        if len(heads) < PAGE:
            await tx.sql.execute("DELETE FROM job_marks WHERE job = $1", _job(topic))
        else:
            await tx.sql.execute(
                """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
                   ON CONFLICT (job) DO UPDATE SET mark = excluded.mark, moved_at = now()""",
                _job(topic),
                heads[-1].key,
            )
    return len(heads)


def _emit(emit: Callable[..., str], head: Head) -> None:
    emit(head.event, encoded=None if head.kept else head.body, kept=head.kept, division=head.division)


async def _until_few_wait(database: Database, topic: str, pending_max: int = PENDING_MAX) -> None:
    """Until the outbox holds at most so many states of `topic`; as long as it shrinks."""
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
                f"({pending:,} wait): start it, then run the command again. It goes on where it stopped."
            )
        await asyncio.sleep(LOOK_SECONDS)
