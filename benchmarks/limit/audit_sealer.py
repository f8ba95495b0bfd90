"""`python -m benchmarks.limit.audit_sealer [seconds]`: CPU of the sealer of an audit log, idle and at 1,000 rows/s.

The sealer runs alone in this process, with one connection to a PostgreSQL server without fsync. Another process
writes the rows, 100 by one statement. CPU is that of the sealer's Python and of its session on the server.
"""

import asyncio
import multiprocessing
import os
import resource
import sys
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from shell.audit.sealing import SEAL_EVERY_SECONDS, seal_audits
from shell.store.database import Database
from shell.testing import migrated_database

SECONDS: Final = 30.0
ROWS_A_SECOND: Final = (0, 1_000)
ROWS_A_TRANSACTION: Final = 100
# The rows of `audits.append` with one person and an area with three areas above it, many at once.
ROWS: Final = """
WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division, account)
             SELECT clock_timestamp(), 'li', 'officer', 'read', 'entitlements', '', '',
                    '["11111111-1111-8111-8111-111111111111"]', '530302', 'li' FROM generate_series(1, $1::int)
           RETURNING at, audit_id),
     q AS (INSERT INTO audit_queue SELECT audit_id FROM a),
     p AS (INSERT INTO audit_persons
             SELECT '11111111-1111-8111-8111-111111111111', at, audit_id, 'li',
                    '{530302,530300,530000,000000}'::text[] FROM a)
INSERT INTO audit_areas
  SELECT area, 'li', at, audit_id FROM a, unnest('{530302,530300,530000,000000}'::text[]) AS area
"""
SIZE: Final = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relname ~ '^audit' AND relkind = 'r'"
WRITES: Final = "SELECT EXISTS (SELECT 1 FROM audits)"
TICKS: Final = os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """CPU of the sealer. `rows`: sealed; `longest`: seconds of its longest step; `size`: bytes of the log's tables."""

    rows: int
    python_seconds: float
    server_seconds: float
    longest: float
    size: int


async def _write(url: str, rows_a_second: int) -> None:
    """Write rows until the process is ended."""
    database = Database(url, "dispatch", connections_max=1)
    await database.open()
    begin, written = monotonic(), 0
    while True:
        if written > (monotonic() - begin) * rows_a_second:
            await asyncio.sleep(0.005)
            continue
        async with database.transaction() as tx:
            await tx.sql.execute(ROWS, ROWS_A_TRANSACTION)
        written += ROWS_A_TRANSACTION


def _writer(url: str, rows_a_second: int) -> None:
    asyncio.run(_write(url, rows_a_second))


async def _seal(url: str, seconds: float) -> Used:
    """Run the sealer as its job does, for some seconds."""
    database = Database(url, "dispatch", connections_max=1)
    await database.open()
    async with database.reading() as connection:
        session: int = await connection.fetchval("SELECT pg_backend_pid()")
    python, server, end, longest = _python_cpu(), _cpu_of(session), monotonic() + seconds, 0.0
    while monotonic() < end:
        begin = monotonic()
        done = await seal_audits(database)
        longest = max(longest, monotonic() - begin)
        if not done:
            await asyncio.sleep(SEAL_EVERY_SECONDS)
    rows = await database.pool.fetchval("SELECT coalesce(max(rows), 0) FROM audit_seals")
    python_seconds, server_seconds = _python_cpu() - python, _cpu_of(session) - server
    used = Used(rows, python_seconds, server_seconds, longest, await database.pool.fetchval(SIZE))
    await database.close()
    return used


def _python_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    """User and system time of another process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def measure(rows_a_second: int, seconds: float) -> Used:
    async with migrated_database("dispatch") as database:
        writer = multiprocessing.get_context("spawn").Process(target=_writer, args=(database.url, rows_a_second))
        if not rows_a_second:
            return await _seal(database.url, seconds)
        writer.start()
        try:
            while not await database.pool.fetchval(WRITES):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.1)
            return await _seal(database.url, seconds)
        finally:
            writer.terminate()
            writer.join()


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for rows in ROWS_A_SECOND:
        used = asyncio.run(measure(rows, seconds))
        share = (used.python_seconds + used.server_seconds) / seconds
        print(
            f"{rows:>5} rows/s: {used.rows / seconds:>6.0f} sealed/s, {share:.2%} of one core "
            f"(Python {used.python_seconds:.2f} s, server {used.server_seconds:.2f} s in {seconds:.0f} s), "
            f"longest step {used.longest * 1000:.0f} ms, {used.size // used.rows if used.rows else 0} bytes per row"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
