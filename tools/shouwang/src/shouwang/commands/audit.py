"""`shouwang audit verify`: check the hash chains of the audit logs against the heads on Kafka."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from shouwang.commands.verify import as_this_home
from shouwang.invariants import topics
from shouwang.invariants.audit_logs import AuditHeads, check_audit_logs, is_audit_topic
from shouwang.invariants.report import Report
from shouwang.runtime import machine
from shouwang.runtime.databases import open_database
from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.terminal import show_progress


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 if no audit log has a fault, else 1."""
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    report = asyncio.run(check_logs(runtime, given.service))
    show_progress("")
    print(report.text())
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang audit", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser("verify", help="find rows that were changed, deleted or inserted")
    verify.add_argument("service", nargs="?", help="only this service")
    return parser


async def check_logs(runtime: Runtime, only: str | None = None) -> Report:
    """Check the audit log of every service, or of the service `only`. Raises LocalProblem for an unknown service, or if
    a database does not answer."""
    if only is not None and only not in runtime.stored:
        raise LocalProblem(f"There is no service `{only}`: choose one of {', '.join(runtime.stored)}.")
    as_this_home(runtime)
    services = [only] if only else runtime.stored
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-audit-"))
        databases = {name: await stack.enter_async_context(open_database(runtime, name)) for name in services}
        heads = AuditHeads(Path(folder))
        stack.callback(heads.close)
        await topics.scan(runtime.kafka_settings(OPERATOR), [heads], show_progress, is_audit_topic)
        return Report(await check_audit_logs(heads, databases))
