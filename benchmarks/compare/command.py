"""`python -m benchmarks compare A B`: does commit B cost more than commit A?

Both commits run on this machine in alternating pairs A B A B. Each side is a whole platform of its own commit: its own
files, packages, databases, broker and free ports. This checkout makes the work, pushes it and measures, so that the
measuring is the same for both. Exit codes: 0 every limit is kept, 1 one is not, 2 it cannot be done here.
"""

import argparse
import asyncio
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import asyncpg
import httpx
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem

from benchmarks import machine
from benchmarks.compare import pairs, table
from benchmarks.compare.checkout import Checkout, check_out, resolve
from benchmarks.compare.measure import Run, capacity, measure
from benchmarks.compare.platform import discard, platform
from benchmarks.compare.work import FULL, QUICK, Size, prepare
from benchmarks.environment import FOREIGN_PREFIXES
from benchmarks.home import say

FOLDER = REPOSITORY / ".shouwang" / "compare"
KEPT = ("SHOUWANG_JARS",)
RATE_MIN = 5  # changes a second; below it a percentile has too few values
# What a platform that fails or is overloaded raises in the driver: of sockets, HTTP, the database and Kafka.
BROKEN = (OSError, RuntimeError, EOFError, ExceptionGroup, httpx.HTTPError, asyncpg.PostgresError)
Pair = tuple[Run, Run]
T = TypeVar("T")


def parser() -> argparse.ArgumentParser:
    """The words of the command."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("a", metavar="A", help="the commit before, for example main")
    found.add_argument("b", metavar="B", help="the commit after, for example HEAD")
    found.add_argument("--quick", action="store_true", help="fewer and smaller runs, to see that it works")
    found.add_argument("--pairs", type=_positive, help=f"alternating pairs ({FULL.pairs})")
    found.add_argument("--people", type=_positive, help=f"people who are loaded first ({FULL.people})")
    found.add_argument("--changes", type=_positive, help=f"changes of the burst ({FULL.changes})")
    found.add_argument("--seconds", type=_positive, help=f"seconds of single changes ({FULL.seconds})")
    found.add_argument("--rate", type=_positive, help="single changes a second (else a share of the capacity of A)")
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


def size_of(given: argparse.Namespace) -> Size:
    """The full or the quick size, with the parts that the caller gave."""
    base = QUICK if given.quick else FULL
    names = ("pairs", "people", "changes", "seconds")
    return replace(base, **{name: getattr(given, name) for name in names if getattr(given, name) is not None})


def main(arguments: Sequence[str]) -> int:
    """Run the comparison; see the module for exit codes."""
    given = parser().parse_args(arguments)
    settle_environment()
    signal.signal(signal.SIGTERM, _end)  # so that everything is stopped on the way out
    try:
        with _alone():
            return _compare(given, size_of(given))
    except LocalProblem as problem:
        print(f"benchmarks compare: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks compare: interrupted; everything that was started is stopped", file=sys.stderr)
        return 130


def settle_environment() -> None:
    """Let this process see no other installation, and no business time of one: the work is made in real time."""
    for name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES) and name not in KEPT]:
        del os.environ[name]
    os.environ["SHOUWANG_HOME"] = str(FOLDER)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _alone() -> Iterator[None]:
    """One comparison per checkout at a time; stops and removes what a killed one has left, and all of this one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalProblem("Another comparison of this checkout is running: wait for its end.") from None
        _remove()
        try:
            yield
        finally:
            _remove()


def _remove() -> None:
    for home in FOLDER.glob("home-*"):
        discard(home)
    for folder in FOLDER.glob("commit-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _compare(given: argparse.Namespace, size: Size) -> int:
    began = time.monotonic()
    commits = {"A": resolve(given.a), "B": resolve(given.b)}
    for label, commit in commits.items():
        say(f"{label} is {given.a if label == 'A' else given.b} ({commit[:10]}): installing it")
    sides = [check_out(label, commit, FOLDER) for label, commit in commits.items()]
    rate = given.rate or _find_rate(sides[0], size, given.share)
    measured = _measure_pairs(sides, size, rate, began)
    compared = pairs.compare([(a.figures, b.figures) for a, b in measured])
    minutes = (time.monotonic() - began) / 60
    say(_report(measured, compared, rate, minutes))
    if given.json:
        results = _results(commits, size, rate, measured, compared) | {"minutes": round(minutes, 1)}
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        say(f"wrote {given.json}")
    return 0 if pairs.is_within(compared) else 1


def _find_rate(side: Checkout, size: Size, share: float) -> int:
    """Single changes a second for all runs: a share of the capacity of A, measured once."""
    say(f"capacity of A: {size.probe:,} single changes as fast as they are answered")
    # the probe takes the place of the warm-up, at a rate of one change a second
    work = prepare(replace(size, warm_up_seconds=size.probe, seconds=1, changes=1), rate=1)
    with platform(side, FOLDER / "home-a") as running:
        found = _finish(capacity(running, work, work.warm_up))
    rate = max(RATE_MIN, round(found * share))
    say(f"  {found:,.0f} changes/s; single changes are measured at {rate} a second")
    return rate


def _measure_pairs(sides: Sequence[Checkout], size: Size, rate: int, began: float) -> list[Pair]:
    work = prepare(size, rate)
    found: list[Pair] = []
    for number in range(1, size.pairs + 1):
        runs = []
        for side in sides:
            say(f"pair {number} of {size.pairs}, {side.label} ({(time.monotonic() - began) / 60:.0f} min so far)")
            with platform(side, FOLDER / f"home-{side.label.lower()}") as running:
                runs.append(_finish(measure(running, work, rate)))
            say("  " + ", ".join(f"{name} {value:.3f}" for name, value in runs[-1].figures.items()))
        found.append((runs[0], runs[1]))
    return found


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a measurement. Raises LocalProblem with the first cause if it broke off."""
    try:
        return asyncio.run(work)
    except BROKEN as error:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise LocalProblem(
            f"the measurement broke off: {type(cause).__name__} {cause}; the logs are in {FOLDER}/home-*/logs"
        ) from error


def _report(measured: Sequence[Pair], compared: Sequence[pairs.Compared], rate: int, minutes: float) -> str:
    sides = {"A": [a for a, _ in measured], "B": [b for _, b in measured]}
    parts = [f"\n{len(measured)} pairs, single changes at {rate} a second, {minutes:.0f} minutes"]
    parts.append(table.table(compared))
    for part in ("singles", "burst"):
        by_process = table.by_process({label: [run.cpu_ms[part] for run in runs] for label, runs in sides.items()})
        parts.append(f"{part}: processor time by process\n{by_process}")
    return "\n\n".join([*parts, table.verdicts(compared)])


def _results(
    commits: Mapping[str, str], size: Size, rate: int, measured: Sequence[Pair], compared: Sequence[pairs.Compared]
) -> dict[str, Any]:
    return {
        "machine": machine.facts(),
        "commits": commits,
        "size": asdict(size) | {"rate": rate},
        "figures": {one.name: one.as_json() for one in compared},
        "runs": [{"A": asdict(a), "B": asdict(b)} for a, b in measured],
    }
