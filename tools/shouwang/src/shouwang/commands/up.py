"""`shouwang up`: start everything, or the missing parts."""

import argparse
from collections.abc import Sequence

from shouwang.runtime import lifecycle, machine


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 when all started processes are ready. Raises LocalProblem if one does not start."""
    given = _parser().parse_args(arguments)
    lifecycle.up(machine.local_runtime(), business_time=given.clock, with_services=not given.no_services)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang up", description=__doc__)
    parser.add_argument("--clock", metavar="T", help="business time to begin with, ISO 8601")
    parser.add_argument("--no-services", action="store_true", help="only Kafka and PostgreSQL")
    return parser
