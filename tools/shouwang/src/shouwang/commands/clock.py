"""`shouwang clock`: show or move business time."""

import argparse
from collections.abc import Sequence

from shouwang.runtime import clock, machine


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. Raises LocalProblem if the clock of this home cannot be moved or its `clock` file
    cannot be read, for a text that is no span or instant, and for a past instant without `--force`."""
    given = _parser().parse_args(arguments)
    home = machine.local_runtime().home
    if given.action == "advance":
        clock.advance(home, clock.parse_span(given.span))
    elif given.action == "set":
        clock.set_business_time(home, clock.parse_instant(given.instant), force=given.force)
    print(clock.shown(home))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang clock", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    advance = actions.add_parser("advance", help="move forward by a span such as 3d or 12h")
    advance.add_argument("span")
    change = actions.add_parser("set", help="make this instant the present")
    change.add_argument("instant", metavar="ISO")
    change.add_argument("--force", action="store_true", help="even if it is in the past")
    return parser
