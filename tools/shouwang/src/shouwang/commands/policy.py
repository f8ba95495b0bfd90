"""`shouwang policy`: lint the lists, show the changes of a proposed list, or simulate it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shouwang.policies import differences, lint_report, simulations
from shouwang.policies.proposals import FOLDER, load_proposal


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0.

    `lint` returns 1 if a list has an error, or gives less than a list above it without a permitted deviation. `diff`
    returns 1 if a change can change decisions. `simulate` returns 1 if the simulation fails.
    """
    given = _parser().parse_args(arguments)
    if given.action == "lint":
        return _lint(given)
    return _diff(given) if given.action == "diff" else _simulate(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang policy", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    linted = actions.add_parser("lint", help="faults of the lists, and lists that give less than the lists above")
    linted.add_argument("--area", metavar="D", help="only this area and the areas in it")
    linted.add_argument("--json", action="store_true", help="the report as JSON")
    linted.add_argument("--folder", type=Path, default=FOLDER, help="another set of lists")
    changed = actions.add_parser("diff", help="the changes of a proposed list, item by item")
    _add_proposal(changed)
    changed.add_argument("--running", action="store_true", help="compare with the list in force on the platform")
    simulated = actions.add_parser("simulate", help="the effects and costs of a proposed list on the running platform")
    _add_proposal(simulated)
    simulated.add_argument("--from", dest="first", metavar="YYYY-MM", help="first service month")
    simulated.add_argument("--months", type=int, default=12, metavar="N", help="how many, at most 36")
    return parser


def _add_proposal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="the folder of an area, the YAML of one item, or a whole list as JSON")
    parser.add_argument("--area", metavar="D", help="the area of an item, if its folder does not name it")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def _lint(given: argparse.Namespace) -> int:
    found = lint_report.report(given.folder, given.area)
    _print(found, lint_report.lines(found), as_json=given.json)
    return 0 if found.ok else 1


def _diff(given: argparse.Namespace) -> int:
    lists = load_proposal(given.path, given.area, running=given.running)
    found = differences.difference(lists, running=given.running)
    _print(found, differences.lines(found, lists), as_json=given.json)
    return 1 if found.deciding else 0


def _simulate(given: argparse.Namespace) -> int:
    lists = load_proposal(given.path, given.area, running=True)
    found = simulations.run(lists.proposed, first_month=given.first, months=given.months)
    _print(found, simulations.lines(found), as_json=given.json)
    return 0 if found["state"] == "complete" else 1


def _print(found: Any, lines: Iterable[str], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(lines))
