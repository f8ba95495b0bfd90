"""Profiles a service (cProfile) or PostgreSQL (pg_stat_statements) during the burst.

A `sitecustomize` in a folder of the home starts the profiler, so the service itself is started as always.
"""

import asyncio
import io
import pstats
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
from shouwang.runtime import postgres
from shouwang.runtime.machine import Runtime

from benchmarks.home import progress

POSTGRES = "postgres"
LINES = 45
STATEMENTS = 40
_HOOK = '''\
"""Profiles the main thread of this process and writes the profile when the process ends."""
import atexit
import cProfile
import os
import signal
import sys

if "uvicorn" in " ".join(sys.orig_argv):
    profile = cProfile.Profile()
    profile.enable()

    def write() -> None:
        profile.disable()
        profile.dump_stats(os.environ["SHOUWANG_PROFILE"])

    atexit.register(write)
    # uvicorn raises the signal again after its orderly end
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
'''


def prepare(home: Path, profiled: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Extra environment variables by service, so that its next start is profiled. `postgres` counts its statements."""
    if POSTGRES in profiled:
        postgres.SETTINGS["shared_preload_libraries"] = "pg_stat_statements"
    return {name: _environment(home, name) for name in profiled if name != POSTGRES}


def _environment(home: Path, service: str) -> Mapping[str, str]:
    return {"PYTHONPATH": str(_hook_folder(home)), "SHOUWANG_PROFILE": str(_stats_file(home, service))}


def _hook_folder(home: Path) -> Path:
    """A folder whose `sitecustomize` starts the profiler."""
    folder = home / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK)
    return folder


def _stats_file(home: Path, service: str) -> Path:
    return home / "profile" / f"{service}.stats"


def print_profiles(runtime: Runtime, profiled: Sequence[str]) -> None:
    """Print the profile of each name. A service is stopped first, because it writes its profile at its end."""
    for name in profiled:
        if name == POSTGRES:
            progress(asyncio.run(_statements(runtime)))
        else:
            runtime.stop(name)
            progress(_functions(runtime.home, name))


def _functions(home: Path, service: str) -> str:
    """The most expensive functions of a service as text: by their own time, then with all their calls."""
    out = io.StringIO()
    stats = pstats.Stats(str(_stats_file(home, service)), stream=out)
    stats.sort_stats("tottime").print_stats(LINES)
    stats.sort_stats("cumulative").print_stats(LINES)
    return out.getvalue()


async def _connect(runtime: Runtime) -> asyncpg.Connection:
    return await asyncpg.connect(f"{runtime.postgres().url}/postgres")


async def reset_statements(runtime: Runtime) -> None:
    """Set the counts of statements to zero."""
    connection = await _connect(runtime)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute("SELECT pg_stat_statements_reset()")
    await connection.close()


async def _statements(runtime: Runtime) -> str:
    """The most expensive statements of all databases, one per line."""
    connection = await _connect(runtime)
    rows = await connection.fetch(
        """SELECT d.datname, s.calls, s.rows, s.total_exec_time / 1000 AS seconds,
             s.shared_blks_hit * 8 / 1024 AS hit_mb, s.wal_bytes / 1048576 AS wal_mb,
             left(regexp_replace(s.query, '\\s+', ' ', 'g'), 150) AS query
           FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
           ORDER BY s.total_exec_time DESC LIMIT $1""",
        STATEMENTS,
    )
    await connection.close()
    head = f"{'seconds':>8} {'calls':>8} {'rows':>9} {'hit MB':>8} {'wal MB':>7}  statement"
    return "\n".join([head, *(_statement_line(*row) for row in rows)])


def _statement_line(
    database: str, calls: int, rows: int, seconds: float, hit_mb: int, wal_mb: float, query: str
) -> str:
    return f"{seconds:8.2f} {calls:8} {rows:9} {hit_mb:8} {wal_mb:7.1f}  {database}: {query}"
