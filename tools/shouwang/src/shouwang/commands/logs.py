"""`shouwang logs`: print the log of a process."""

import argparse
import sys
from collections.abc import Sequence

from shouwang.runtime import machine
from shouwang.runtime.problems import LocalProblem


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. Raises LocalProblem when there is no such log."""
    parser = argparse.ArgumentParser(prog="shouwang logs", description=__doc__)
    parser.add_argument("name", help="a service, kafka, postgres or supervisor")
    given = parser.parse_args(arguments)
    log = machine.local_runtime().log_file(given.name)
    if not log.exists():
        names = ", ".join(sorted(path.stem for path in log.parent.glob("*.log")))
        raise LocalProblem(f"There is no log of `{given.name}`: choose one of {names or '(none yet)'}.")
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
    return 0
