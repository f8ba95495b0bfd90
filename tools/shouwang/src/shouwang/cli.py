"""The command `shouwang`. Exit codes: 0 done, 1 done but not all was well, 2 cannot be done here and why."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shouwang.runtime.machine import Runtime, local_runtime
from shouwang.runtime.paths import default_home
from shouwang.runtime.problems import LocalProblem

# Commands that read their own arguments; each module has `main(arguments) -> int`.
ELSEWHERE = {
    "import": ("shouwang.commands.import_file", "send a file of rows or events, and say what became of them"),
    "feeds": ("shouwang.commands.feeds", "the front-end tables that are read and how they stand; read one now"),
    "synth": ("synth.cli", "write a synthetic county and its changes to a file"),
    "verify": ("shouwang.commands.verify", "check the invariants over all databases and topics"),
    "policy": (
        "shouwang.commands.policy",
        "lint the lists, prove that none gives less than those above, simulate a change",
    ),
    "parked": ("shouwang.commands.parked", "list, show or replay what could not be processed"),
    "offsets": ("shouwang.commands.offsets", "where the consumers stand in their topics; resume one that is stopped"),
    "republish": ("shouwang.commands.republish", "send the newest state of every key of a compacted topic again"),
    "demo": ("shouwang.commands.demo", "tell the story of the sample county, step by step"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ["SHOUWANG_HOME"] = str(default_home())  # for what is imported later
    try:
        if words and words[0] in ELSEWHERE:
            return _elsewhere(words[0], words[1:])
        return _run(_parser().parse_args(words))
    except LocalProblem as problem:
        print(f"shouwang: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang", description="守望 on this machine")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start everything, or what is missing")
    up.add_argument("--clock", metavar="T", help="business time to begin with, ISO 8601")
    up.add_argument("--no-services", action="store_true", help="only Kafka and PostgreSQL")
    commands.add_parser("down", help="stop everything and keep the data")
    commands.add_parser("status", help="what runs, on which port; exit 1 if something is not ready")
    _add_clock(commands)
    token = commands.add_parser("token", help="print a short-lived local token")
    token.add_argument("--role", required=True)
    token.add_argument("--division")
    token.add_argument("--source", metavar="URN")
    token.add_argument("--provider", metavar="USCC")
    token.add_argument("--hours", type=float, default=8)
    send = commands.add_parser("send", help="push a file of CloudEvents (NDJSON or a JSON array)")
    send.add_argument("file", type=Path)
    commands.add_parser("topics", help="create missing topics and list them all")
    logs = commands.add_parser("logs", help="print what a process wrote")
    logs.add_argument("name", help="a service, kafka, postgres or supervisor")
    for name, (_, text) in ELSEWHERE.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _add_clock(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    clock = commands.add_parser("clock", help="show or move business time")
    actions = clock.add_subparsers(dest="action", metavar="ACTION")
    advance = actions.add_parser("advance", help="move on by a span such as 3d or 12h")
    advance.add_argument("span")
    change = actions.add_parser("set", help="make this the present")
    change.add_argument("instant", metavar="ISO")
    change.add_argument("--force", action="store_true", help="even if it is in the past")


def _run(given: argparse.Namespace) -> int:
    from shouwang.runtime import lifecycle

    runtime = local_runtime()
    match given.command:
        case "up":
            lifecycle.up(runtime, business_time=given.clock, with_services=not given.no_services)
        case "down":
            lifecycle.down(runtime)
        case "status":
            return 0 if lifecycle.status(runtime) else 1
        case "clock":
            _move_clock(runtime.home, given)
        case "token":
            print(_token(given))
        case "send":
            from shouwang.commands.send import send

            return 0 if send(given.file, runtime.service_url("ingestion")) else 1
        case "topics":
            _list_topics(runtime)
        case "logs":
            _print_log(runtime, given.name)
    return 0


def _move_clock(home: Path, given: argparse.Namespace) -> None:
    from shouwang.runtime import clock

    if given.action == "advance":
        clock.advance(home, clock.parse_span(given.span))
    elif given.action == "set":
        clock.set_business_time(home, clock.parse_instant(given.instant), force=given.force)
    print(clock.shown(home))


def _token(given: argparse.Namespace) -> str:
    from shell.access.auth import GIVEN_ROLES, issue_token

    if given.role not in GIVEN_ROLES:
        raise LocalProblem(f"There is no role `{given.role}` for a person: choose one of {', '.join(GIVEN_ROLES)}.")
    return issue_token(
        given.role,
        division=given.division,
        source=given.source,
        provider=given.provider,
        hours=given.hours,
    )


def _list_topics(runtime: Runtime) -> None:
    from shell.kafka.topics import load_source_topic, load_topics

    if not runtime.kafka_answers():
        raise LocalProblem(f"Kafka at {runtime.kafka_address} does not answer: run `shouwang up`.")
    created = set(runtime.create_topics())
    for topic in [*load_topics(), load_source_topic()]:
        kept = "compact" if topic.cleanup == "compact" else f"{topic.retention_hours} h"
        new = "  (created now)" if topic.name in created else ""
        print(f"{topic.name:<34} key {topic.key:<13} {kept}{new}")


def _print_log(runtime: Runtime, name: str) -> None:
    log = runtime.log_file(name)
    if not log.exists():
        there = sorted(path.stem for path in log.parent.glob("*.log"))
        raise LocalProblem(f"There is no log of `{name}`: choose one of {', '.join(there) or '(none yet)'}.")
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))


def _elsewhere(command: str, arguments: list[str]) -> int:
    module_name = ELSEWHERE[command][0]
    if importlib.util.find_spec(module_name) is None:
        raise LocalProblem(f"`shouwang {command}` is not part of this version: see `shouwang --help`.")
    code: int = importlib.import_module(module_name).main(arguments)
    return code
