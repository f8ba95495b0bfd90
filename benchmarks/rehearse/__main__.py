"""`make rehearse`: run the rehearsals one after the other, continue after a failure, and log the results.

Exit codes: 0 all passed, 1 one failed, 2 the list or a name is wrong, 130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from shouwang.runtime.problems import LocalProblem

from benchmarks.home import progress
from benchmarks.rehearse import log, plan, runner


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsals that the arguments name. The module lists the exit codes."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # stops everything, as Ctrl-C does
    try:
        rehearsals = plan.choose(plan.load(options.plan, plan.TESTS), options.only)
        if options.list:
            progress(log.listing(rehearsals, log.read(options.log)))
            return 0
        return _run(rehearsals, options.log, options.logs)
    except LocalProblem as problem:
        print(f"rehearse: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rehearse: interrupted; everything that was started is stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearse", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="list all rehearsals with their last results")
    parser.add_argument("--plan", type=Path, default=plan.LIST, help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, default=log.LOG, help="the file of results")
    parser.add_argument("--logs", type=Path, default=runner.LOGS, help="the folder for the output of the rehearsals")
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(rehearsals: Sequence[plan.Rehearsal], file: Path, logs: Path) -> int:
    outcomes = []
    for number, rehearsal in enumerate(rehearsals, 1):
        progress(f"{number} of {len(rehearsals)}, {rehearsal.name} (about {rehearsal.minutes} min): {rehearsal.shows}")
        outcome = runner.run(rehearsal, progress, logs)
        outcomes.append(outcome)
        log.record(rehearsal, outcome, file)
        if outcome.fault is not None:
            progress(f"  failed: {outcome.fault}; its output is in {logs / f'{rehearsal.name}.log'}")
    progress(f"\n{log.summary(outcomes)}\nwrote {file}")
    return 0 if all(outcome.fault is None for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
