"""`shouwang verify`: check the invariants over all databases and topics of a home."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Final

from shell import clock
from shell.kafka import client
from shell.settings import Settings, settings
from shell.store.database import Database

from shouwang.invariants import backlog, consistency, topics
from shouwang.invariants.audit_logs import AuditHeads, check_audit_logs
from shouwang.invariants.heads import Heads, compare_heads
from shouwang.invariants.privacy import Secrets, load_secrets
from shouwang.invariants.records import Grounds, Providers
from shouwang.invariants.report import Line, Report
from shouwang.invariants.source_rows import SOURCES
from shouwang.runtime import machine
from shouwang.runtime.databases import open_database
from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime
from shouwang.terminal import show_progress

WAIT_SECONDS: Final = 90.0  # some jobs look for due rows once a minute


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 if all invariants hold, else 1."""
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    started = monotonic()
    report = asyncio.run(check_all(runtime, wait_seconds=given.wait, say=show_progress))
    show_progress("")
    print(report.text())
    verdict = "all is well" if report.ok else f"{len(report.wrong())} invariants do not hold"
    print(f"{verdict}, {monotonic() - started:.1f} s")
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang verify", description=__doc__)
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help=f"for an empty backlog ({WAIT_SECONDS:.0f})"
    )
    return parser


async def check_all(
    runtime: Runtime, *, wait_seconds: float = WAIT_SECONDS, say: Callable[[str], None] = lambda text: None
) -> Report:
    """Check all invariants as soon as the backlog is empty, or after `wait_seconds`.

    It only reads stores, topics and logs. Changes during the check may be reported as faults. `say` gets each line of
    progress. Raises LocalProblem when a database does not answer, and TimeoutError when the broker stops answering.
    """
    as_this_home(runtime)
    report = Report()
    async with AsyncExitStack() as stack:
        databases = {name: await stack.enter_async_context(open_database(runtime, name)) for name in runtime.stored}
        say("waiting until nothing is under way")
        report.lines.append(await _quiet(runtime.kafka_settings(OPERATOR), databases, wait_seconds))
        for name, database in databases.items():
            say(f"checking {name}")
            report.lines.append(await _own_check(name, database))
        report.lines += await _across_services(databases)
        report.lines += await _on_topics(runtime, databases, say)
    return report


async def _across_services(databases: backlog.Databases) -> list[Line]:
    return [
        *await consistency.compare_versions(databases),
        *await consistency.check_inputs(databases["ingestion"]),
        await consistency.check_suspicions(databases),
        await consistency.check_money(databases["subsidy"]),
        await consistency.check_due_months(databases),
        await consistency.check_parked(databases),
    ]


def as_this_home(runtime: Runtime) -> None:
    """Use the clock, the keys and the demonstration mode of this home in this process."""
    os.environ["SHOUWANG_HOME"] = str(runtime.home)
    if runtime.demo_file.exists():
        os.environ["SHOUWANG_DEMO"] = "1"
    settings.cache_clear()


async def _quiet(settings: Settings, databases: backlog.Databases, seconds: float) -> Line:
    """Wait at most `seconds` for an empty backlog; the remaining backlog becomes the faults of the line."""
    kafka = client.consumer(settings, None)
    await kafka.start()
    try:
        waiting = await backlog.wait_until_quiet(databases, kafka, seconds)
    finally:
        await kafka.stop()
    return Line("nothing is under way: outboxes empty, topics read", count=len(databases)).add(waiting)


async def _own_check(name: str, database: Database) -> Line:
    """Run the check that the service defines for its own database (`<service>.verify`)."""
    line = Line(f"{name}: its own store agrees with itself")
    verify = importlib.import_module(f"{name}.verify")
    async with database.reading() as connection:
        line.count = await connection.fetchval(verify.SIZE)
    return line.add(await verify.check(database, clock.today()))


async def _on_topics(runtime: Runtime, databases: backlog.Databases, say: Callable[[str], None]) -> list[Line]:
    """Run all checks of topics in one pass, then search the logs; returns one line per invariant."""
    secrets, grounds, providers = await _secrets(runtime, databases["ingestion"]), Grounds(), Providers()
    with tempfile.TemporaryDirectory(prefix="shouwang-verify-") as folder:
        heads, audit_heads = Heads(Path(folder), SOURCES), AuditHeads(Path(folder))
        try:
            await topics.scan(runtime.kafka_settings(OPERATOR), [heads, audit_heads, secrets, grounds, providers], say)
            lines = [*await compare_heads(heads, databases), *await check_audit_logs(audit_heads, databases)]
        finally:
            heads.close()
            audit_heads.close()
    logs = sorted((runtime.home / "logs").glob("*.log"))
    return [*lines, grounds.line, providers.line, secrets.topics, secrets.check_logs(logs)]


async def _secrets(runtime: Runtime, ingestion: Database) -> Secrets:
    """Prepare the search for the names and ID numbers of a sample of the vault."""
    numbers, names, persons = await load_secrets(ingestion, runtime.home)
    secrets = Secrets(numbers, names)
    secrets.topics.note = secrets.logs.note = f"of {persons:,} people sought"
    return secrets
