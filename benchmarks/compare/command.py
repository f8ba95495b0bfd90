"""`python -m benchmarks compare A B`: does commit B cost more than commit A?

Both commits run on this machine in alternating pairs A B A B. Each side is a whole platform with the files, packages,
databases, broker and ports of its own commit. This checkout makes the events, pushes them and measures both sides in
the same way. Exit codes: 0 every limit is kept, 1 a limit is exceeded, 2 the comparison cannot run, 130 interrupted.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeVar

import asyncpg
import httpx
from shouwang.runtime.problems import LocalProblem

from benchmarks import machine
from benchmarks.compare import pairs, table
from benchmarks.compare.checkout import Checkout, check_out, resolve
from benchmarks.compare.folder import FOLDER, alone
from benchmarks.compare.measure import Run, capacity, measure
from benchmarks.compare.platform import platform
from benchmarks.compare.work import FULL, QUICK, Size, prepare
from benchmarks.environment import FOREIGN_PREFIXES
from benchmarks.home import progress

KEPT_VARIABLES = ("SHOUWANG_JARS",)
RATE_MIN = 5  # changes per second; a lower rate gives too few values for a percentile
# Errors of sockets, HTTP, the database and Kafka, which this process gets if the platform fails or is overloaded.
BROKEN = (OSError, RuntimeError, EOFError, ExceptionGroup, httpx.HTTPError, asyncpg.PostgresError)
Pair = tuple[Run, Run]
T = TypeVar("T")


class Comparison(NamedTuple):
    """All runs of a comparison. `commits`: full hash by side. `rate`: single changes per second."""

    commits: Mapping[str, str]
    size: Size
    rate: int
    measured: Sequence[Pair]
    minutes: float

    @property
    def compared(self) -> list[pairs.Compared]:
        return pairs.compare([(a.figures, b.figures) for a, b in self.measured])


def parser() -> argparse.ArgumentParser:
    """The parser for the arguments of the command."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("a", metavar="A", help="the commit before, for example main")
    found.add_argument("b", metavar="B", help="the commit after, for example HEAD")
    found.add_argument("--quick", action="store_true", help="fewer and smaller runs, to check that it works")
    found.add_argument("--pairs", type=_positive, help=f"alternating pairs ({FULL.pairs})")
    found.add_argument("--people", type=_positive, help=f"people who are loaded first ({FULL.people})")
    found.add_argument("--changes", type=_positive, help=f"changes of the burst ({FULL.changes})")
    found.add_argument("--seconds", type=_positive, help=f"seconds of single changes ({FULL.seconds})")
    found.add_argument("--rate", type=_positive, help="single changes per second (default: a share of the capacity)")
    found.add_argument("--share", type=_share, default=0.5, help="share of the capacity of A for single changes (0.5)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all runs to this file")
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return number


def size_of(options: argparse.Namespace) -> Size:
    """The full or the quick size, changed by the caller's arguments."""
    base = QUICK if options.quick else FULL
    changed = {}
    for name in ("pairs", "people", "changes", "seconds"):
        value = getattr(options, name)
        if value is not None:
            changed[name] = value
    return replace(base, **changed)


def main(arguments: Sequence[str]) -> int:
    """Run the comparison. The module lists the exit codes."""
    options = parser().parse_args(arguments)
    settle_environment()
    signal.signal(signal.SIGTERM, _interrupt)  # stops everything, as Ctrl-C does
    try:
        with alone():
            return _run(options)
    except LocalProblem as problem:
        print(f"benchmarks compare: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks compare: interrupted; everything that was started is stopped", file=sys.stderr)
        return 130


def settle_environment() -> None:
    """Remove the settings of other installations from this process. So no simulated business time is set either."""
    for name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES) and name not in KEPT_VARIABLES]:
        del os.environ[name]
    os.environ["SHOUWANG_HOME"] = str(FOLDER)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace) -> int:
    comparison = _compare(options, size_of(options))
    compared = comparison.compared
    progress(_report(comparison, compared))
    if options.json:
        _write(options.json, _results(comparison, compared))
    return 0 if pairs.is_within(compared) else 1


def _write(file: Path, results: dict[str, Any]) -> None:
    file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    progress(f"wrote {file}")


def _compare(options: argparse.Namespace, size: Size) -> Comparison:
    began = time.monotonic()
    revisions = {"A": options.a, "B": options.b}
    commits = {label: resolve(revision) for label, revision in revisions.items()}
    sides = []
    for label, commit in commits.items():
        progress(f"{label} is {revisions[label]} ({commit[:10]}): installing it")
        sides.append(check_out(label, commit, FOLDER))
    rate = options.rate or _find_rate(sides[0], size, options.share)
    measured = _measure_pairs(sides, size, rate, began)
    return Comparison(commits, size, rate, measured, _minutes_since(began))


def _minutes_since(began: float) -> float:
    return (time.monotonic() - began) / 60


def _find_rate(side: Checkout, size: Size, share: float) -> int:
    """Single changes per second for all runs: a share of the capacity of A, measured once."""
    progress(f"capacity of A: {size.probe:,} single changes as fast as they are answered")
    # The probe is the warm-up of this work: at one change per second it has `size.probe` changes.
    work = prepare(replace(size, warm_up_seconds=size.probe, seconds=1, changes=1), rate=1)
    with platform(side, FOLDER / "home-a") as running:
        found = _finish(capacity(running, work, work.warm_up))
    rate = max(RATE_MIN, round(found * share))
    progress(f"  {found:,.0f} changes/s; single changes are measured at {rate} per second")
    return rate


def _measure_pairs(sides: Sequence[Checkout], size: Size, rate: int, began: float) -> list[Pair]:
    work = prepare(size, rate)
    found: list[Pair] = []
    for number in range(1, size.pairs + 1):
        runs = []
        for side in sides:
            progress(f"pair {number} of {size.pairs}, {side.label} ({_minutes_since(began):.0f} min so far)")
            with platform(side, FOLDER / f"home-{side.label.lower()}") as running:
                runs.append(_finish(measure(running, work, rate)))
            progress("  " + ", ".join(f"{name} {value:.3f}" for name, value in runs[-1].figures.items()))
        found.append((runs[0], runs[1]))
    return found


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a measurement. Raises LocalProblem with the first cause if the measurement fails."""
    try:
        return asyncio.run(work)
    except BROKEN as error:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise LocalProblem(
            f"the measurement failed: {type(cause).__name__} {cause}; the logs are in {FOLDER}/home-*/logs"
        ) from error


def _report(comparison: Comparison, compared: Sequence[pairs.Compared]) -> str:
    head = f"\n{len(comparison.measured)} pairs, single changes at {comparison.rate} per second"
    parts = [f"{head}, {comparison.minutes:.0f} minutes", table.table(compared)]
    for part in ("singles", "burst"):
        costs_of_a = [a.cpu_ms[part] for a, _ in comparison.measured]
        costs_of_b = [b.cpu_ms[part] for _, b in comparison.measured]
        by_process = table.by_process({"A": costs_of_a, "B": costs_of_b})
        parts.append(f"{part}: processor time by process\n{by_process}")
    return "\n\n".join([*parts, table.verdicts(compared)])


def _results(comparison: Comparison, compared: Sequence[pairs.Compared]) -> dict[str, Any]:
    return {
        "machine": machine.facts(),
        "commits": comparison.commits,
        "size": asdict(comparison.size) | {"rate": comparison.rate},
        "figures": {one.name: one.as_json() for one in compared},
        "runs": [{"A": asdict(a), "B": asdict(b)} for a, b in comparison.measured],
        "minutes": round(comparison.minutes, 1),
    }
