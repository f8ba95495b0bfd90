"""`shouwang offsets`: list the positions of the consumers, and decide where a stopped consumer reads on."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections.abc import Sequence

from shouwang.runtime import machine, positions
from shouwang.runtime.machine import Runtime
from shouwang.runtime.positions import TARGETS, Position, Target
from shouwang.runtime.problems import LocalProblem
from shouwang.terminal import aligned

HEAD = ("service", "topic", "part", "next", "log start", "log end", "last handled", "retention used", "state")
NUMBERS = (2, 3, 4, 5, 7)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. `resume` returns 1 without `--yes`.

    `list` returns 1 if a partition is stopped, or if its reader will stop it soon.
    """
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    if given.action == "list":
        return _list(runtime, given.service)
    return _resume(runtime, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang offsets", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="every partition that a service reads, and whether it is stopped")
    listed.add_argument("service", nargs="?")
    resume = actions.add_parser("resume", help="set where a service reads a partition on; shows the effect first")
    resume.add_argument("service")
    resume.add_argument("topic")
    resume.add_argument("partition", help="a number, or `all`")
    resume.add_argument("--from", dest="to", required=True, metavar="beginning|end|OFFSET", type=_target)
    resume.add_argument("--yes", action="store_true", help="do it; without this the effect is only shown")
    resume.add_argument("--by", default=getpass.getuser(), help="name for the record (default: this user)")
    return parser


def _target(text: str) -> Target:
    if text.isdecimal():
        return int(text)
    for name in TARGETS:
        if text == name:
            return name
    raise argparse.ArgumentTypeError(f"`{text}` is neither `beginning`, `end` nor an offset")


def _services(runtime: Runtime, only: str | None) -> list[str]:
    """Return the service `only`, or all services with a database if it is None. Raises LocalProblem for an unknown
    service."""
    if only is None:
        return runtime.stored
    if only not in runtime.stored:
        raise LocalProblem(f"There is no service `{only}`: choose one of {', '.join(runtime.stored)}.")
    return [only]


def _list(runtime: Runtime, only: str | None) -> int:
    found: list[Position] = []
    for service in _services(runtime, only):
        found += asyncio.run(positions.load_positions(runtime, service))
    stopped = [position for position in found if position.stop_reason]
    _print_positions(found, stopped)
    return 1 if stopped else 0


def _print_positions(found: Sequence[Position], stopped: Sequence[Position]) -> None:
    for line in aligned([HEAD, *map(_cells, found)], NUMBERS):
        print(line)
    for position in stopped:
        print(f"{position.place.consumer}: {position.name}: {position.stop_reason}")
    print(f"{len(found)} partitions, {len(stopped)} stopped")


def _cells(position: Position) -> tuple[str, ...]:
    place, log = position.place, position.log
    return (
        place.consumer,
        place.topic,
        str(place.part),
        _number(position.row.next_offset),
        _number(log.start if log else None),
        _number(log.end if log else None),
        position.last_handled,
        "" if position.used_ratio is None else f"{position.used_ratio:.0%}",
        _state(position),
    )


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _state(position: Position) -> str:
    if position.stop_reason:
        return "stopped"
    return "no such partition" if position.log is None else "reads"


def _resume(runtime: Runtime, given: argparse.Namespace) -> int:
    (service,) = _services(runtime, given.service)
    resumes = asyncio.run(positions.plan(runtime, service, given.topic, given.partition, given.to))
    for resume in resumes:
        print(*resume.effects(), sep="\n", end="\n\n")
    if not given.yes:
        print("Nothing is changed. Repeat the command with --yes to do this.")
        return 1
    asyncio.run(positions.carry_out(runtime, service, resumes, given.by))
    print(f"{len(resumes)} partitions resumed; the record is in {service}.offset_resumes")
    return 0
