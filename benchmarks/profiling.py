"""Where a service spends its time: the same process under cProfile, ended in order, its costs summed up.

The profiler is switched on by a `sitecustomize` in a folder of the home, so the service is started exactly as always.
"""

import io
import pstats
from collections.abc import Mapping
from pathlib import Path

import asyncpg
from shouwang.runtime import postgres
from shouwang.runtime.machine import Runtime

LINES = 45
STATEMENTS = 40
_HOOK = '''\
"""Profiles the main thread of this process and writes what it found when the process ends."""
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
    # uvicorn raises the signal again once it has ended in order
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
'''


def environment(home: Path, service: str) -> Mapping[str, str]:
    """What turns the profiler on in the process of a service."""
    folder = home / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK)
    return {"PYTHONPATH": str(folder), "SHOUWANG_PROFILE": str(_stats(home, service))}


def report(home: Path, service: str) -> str:
    """The dearest functions of a service, by their own time and with all they call."""
    out = io.StringIO()
    stats = pstats.Stats(str(_stats(home, service)), stream=out)
    stats.sort_stats("tottime").print_stats(LINES)
    stats.sort_stats("cumulative").print_stats(LINES)
    return out.getvalue()


def _stats(home: Path, service: str) -> Path:
    return home / "profile" / f"{service}.stats"


def count_statements() -> None:
    """Let the next cluster that starts keep the costs of its statements."""
    postgres.SETTINGS["shared_preload_libraries"] = "pg_stat_statements"


async def forget_statements(runtime: Runtime) -> None:
    """Begin to count now."""
    connection = await asyncpg.connect(f"{runtime.postgres().url}/postgres")
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute("SELECT pg_stat_statements_reset()")
    await connection.close()


async def statements(runtime: Runtime) -> str:
    """The dearest statements of all databases."""
    connection = await asyncpg.connect(f"{runtime.postgres().url}/postgres")
    rows = await connection.fetch(
        """SELECT d.datname, s.calls, s.rows, s.total_exec_time / 1000 AS seconds, s.shared_blks_hit, s.wal_bytes,
             regexp_replace(s.query, '\\s+', ' ', 'g') AS query
           FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
           ORDER BY s.total_exec_time DESC LIMIT $1""",
        STATEMENTS,
    )
    await connection.close()
    lines = [f"{'seconds':>8} {'calls':>8} {'rows':>9} {'hit MB':>8} {'wal MB':>7}  statement"]
    for row in rows:
        hit_mb, wal_mb = row["shared_blks_hit"] * 8 / 1024, float(row["wal_bytes"]) / 2**20
        lines.append(
            f"{row['seconds']:8.2f} {row['calls']:8} {row['rows']:9} {hit_mb:8.0f} {wal_mb:7.1f}"
            f"  {row['datname']}: {row['query'][:150]}"
        )
    return "\n".join(lines)
