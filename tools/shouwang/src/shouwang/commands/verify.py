"""`shouwang verify`: what must hold over all databases and topics of a home. Exit 0: all of it holds; 1: not."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer
from shell import clock
from shell.settings import settings
from shell.store.database import Database

from shouwang.invariants import across, quiet, topics
from shouwang.invariants.heads import Heads, compare_heads
from shouwang.invariants.privacy import Secrets, load_secrets
from shouwang.invariants.report import Line, Report
from shouwang.invariants.rows_behind import SOURCES
from shouwang.invariants.saying import Grounds, Providers
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

WAIT_SECONDS: Final = 30.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="shouwang verify", description="check what must hold over all stores")
    parser.add_argument("--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for quiet, before (30)")
    given = parser.parse_args(argv)
    from shouwang.runtime.machine import local_runtime

    runtime = local_runtime()
    if not runtime.kafka_answers():
        raise LocalProblem(f"Kafka at {runtime.kafka_address} does not answer: run `shouwang up`.")
    started = monotonic()
    report = asyncio.run(check_all(runtime, wait_seconds=given.wait, say=progress))
    progress("")
    print(report.text())
    wrong = len(report.wrong())
    print(f"{'all is well' if report.ok else f'{wrong} invariants do not hold'}, {monotonic() - started:.1f} s")
    return 0 if report.ok else 1


async def check_all(
    runtime: Runtime, *, wait_seconds: float = WAIT_SECONDS, say: Callable[[str], None] = lambda text: None
) -> Report:
    """Check everything once nothing is under way any more, or after `wait_seconds`. Reads, and changes nothing; what
    moves meanwhile may be reported as wrong. Raises LocalProblem when a database does not answer."""
    as_this_home(runtime)
    async with AsyncExitStack() as stack:
        databases = {}
        for process in runtime.processes:
            if process.database:
                database = Database(runtime.database_url(process.name), process.name, connections_max=2)
                await _open(database)
                stack.push_async_callback(database.close)
                databases[process.name] = database
        report = Report()
        say("waiting until nothing is under way")
        report.lines.append(await _quiet(runtime.kafka_address, databases, wait_seconds))
        for name in databases:
            say(f"checking {name}")
            report.lines.append(await _own_check(name, databases[name]))
        report.lines += await across.compare_versions(databases)
        report.lines += await across.check_inputs(databases["ingestion"])
        report.lines.append(await across.check_suspicions(databases))
        report.lines.append(await across.check_money(databases["subsidy"]))
        report.lines.append(await across.check_due_months(databases))
        report.lines.append(await across.check_parked(databases))
        report.lines += await _on_topics(runtime, databases, say)
    return report


def as_this_home(runtime: Runtime) -> None:
    """Clock, keys and demonstration mode are those of the home, whatever this process began with."""
    os.environ["SHOUWANG_HOME"] = str(runtime.home)
    if runtime.demo_file.exists():
        os.environ["SHOUWANG_DEMO"] = "1"
    settings.cache_clear()


async def _open(database: Database) -> None:
    try:
        await database.open()
    except OSError as error:
        raise LocalProblem(f"The database of {database.schema} does not answer: run `shouwang up`.") from error


async def _quiet(address: str, databases: quiet.Databases, seconds: float) -> Line:
    kafka = AIOKafkaConsumer(bootstrap_servers=address)
    await kafka.start()
    try:
        waiting = await quiet.wait_until_quiet(databases, kafka, seconds)
    finally:
        await kafka.stop()
    return Line("nothing is under way: outboxes empty, topics read", count=len(databases)).add(waiting)


async def _own_check(name: str, database: Database) -> Line:
    """The check that the service has of its own store."""
    line = Line(f"{name}: its own store agrees with itself")
    verify = importlib.import_module(f"{name}.verify")
    async with database.reading() as connection:
        line.count = await connection.fetchval(verify.SIZE)
    return line.add(await verify.check(database, clock.today()))


async def _on_topics(runtime: Runtime, databases: quiet.Databases, say: Callable[[str], None]) -> list[Line]:
    numbers, names, persons = await load_secrets(databases["ingestion"], runtime.home)
    secrets, grounds, providers = Secrets(numbers, names), Grounds(), Providers()
    secrets.topics.note = secrets.logs.note = f"of {persons:,} people sought"
    with tempfile.TemporaryDirectory(prefix="shouwang-verify-") as folder:
        heads = Heads(Path(folder), SOURCES)
        try:
            await topics.scan(runtime.kafka_address, [heads, secrets, grounds, providers], say)
            lines = await compare_heads(heads, databases)
        finally:
            heads.close()
    logs = sorted((runtime.home / "logs").glob("*.log"))
    return [*lines, grounds.line, providers.line, secrets.topics, secrets.read_logs(logs)]


def progress(text: str) -> None:
    """Show on a terminal what is being done, in place of what was before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}{' …' if text else ''}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
