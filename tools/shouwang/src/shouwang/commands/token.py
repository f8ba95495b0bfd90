"""`shouwang token`: print a short-lived local token."""

import argparse
from collections.abc import Sequence

from shell.access.auth import GIVEN_ROLES, issue_token

from shouwang.runtime.problems import LocalProblem

HOURS = 8


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. Raises LocalProblem for the role `service` or an unknown role."""
    given = _parser().parse_args(arguments)
    if given.role not in GIVEN_ROLES:
        raise LocalProblem(f"There is no role `{given.role}` for a person: choose one of {', '.join(GIVEN_ROLES)}.")
    token = issue_token(
        given.role,
        division=given.division,
        source=given.source,
        provider=given.provider,
        hours=given.hours,
    )
    print(token)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang token", description=__doc__)
    parser.add_argument("--role", required=True)
    parser.add_argument("--division")
    parser.add_argument("--source", metavar="URN")
    parser.add_argument("--provider", metavar="USCC")
    parser.add_argument("--hours", type=float, default=HOURS)
    return parser
