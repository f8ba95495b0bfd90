"""`make rehearse`: run the rehearsals one after the other, go on after a failure, and keep the results.

Exit codes: 0 all passed, 1 one failed, 2 the list or a name is wrong, 130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from shouwang.runtime.problems import LocalProblem

from benchmarks.home import say
from benchmarks.rehearse import log, plan, running


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments name; see the module for exit codes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearse", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="show what there is and the last results")
    parser.add_argument("--plan", type=Path, default=plan.LIST, help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, default=log.LOG, help="the file of results")
    parser.add_argument("--logs", type=Path, default=running.LOGS, help="the folder of what the rehearsals print")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)  # so that everything is stopped on the way out
    try:
        rehearsals = plan.choose(plan.load(given.plan, plan.TESTS), given.only)
        if given.list:
            say(log.listing(rehearsals, log.read(given.log)))
            return 0
        return _run(rehearsals, given.log, given.logs)
    except LocalProblem as problem:
        print(f"rehearse: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rehearse: interrupted; everything that was started is stopped", file=sys.stderr)
        return 130


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(rehearsals: Sequence[plan.Rehearsal], file: Path, logs: Path) -> int:
    outcomes = []
    for number, one in enumerate(rehearsals, 1):
        say(f"{number} of {len(rehearsals)}, {one.name} (about {one.minutes} min): {one.shows}")
        outcome = running.run(one, say, logs)
        outcomes.append(outcome)
        log.record(one, outcome, file)
        if outcome.fault is not None:
            say(f"  failed: {outcome.fault}; its output is in {logs / f'{one.name}.log'}")
    say(f"\n{log.summary(outcomes)}\nwrote {file}")
    return 0 if all(one.fault is None for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
