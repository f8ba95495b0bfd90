"""`python -m benchmarks`: every part in a process of its own, one after the other, then the table and results.json."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shouwang.runtime.problems import LocalProblem

from benchmarks import burst, county, latency, machine, report, usual
from benchmarks.compare.command import main as compare
from benchmarks.figures import merged, ratio
from benchmarks.home import HOMES, say
from benchmarks.limit.measure import measure as limit

RESULTS = Path(__file__).parent / "results.json"
PARTS = ("latency", "burst", "limit", "usual", "county")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 when this machine cannot run it; `compare` has codes of its own."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["compare"]:
        return compare(words[1:])
    given = _parser().parse_args(words)
    try:
        if given.part:
            _write(Path(given.out), _measure(given.part, given))
        else:
            _run(given)
    except LocalProblem as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="`python -m benchmarks compare A B` compares two commits.",
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="this part only (may be repeated)")
    parser.add_argument("--out", default=str(RESULTS), help="where the results go")
    parser.add_argument("--latency-people", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=200, help="changes a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--people", type=int, default=50_000, help="people of the burst")
    parser.add_argument("--changes", type=int, default=100_000, help="changes of the burst")
    parser.add_argument("--usual-people", type=int, default=3_000)
    parser.add_argument("--usual-changes", type=int, default=5_000)
    parser.add_argument("--county-people", type=int, default=500_000)
    parser.add_argument("--profile", action="append", default=[], help="a service or postgres, in the burst")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser


def _measure(part: str, given: argparse.Namespace) -> dict[str, Any]:
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "latency": lambda: latency.measure(given.latency_people, given.rate, given.seconds),
        "burst": lambda: burst.measure(given.people, given.changes, profiled=given.profile),
        "limit": limit,
        "usual": lambda: usual.measure(given.usual_people, given.usual_changes),
        "county": lambda: county.measure(given.county_people),
    }
    return measures[part]()


def _run(given: argparse.Namespace) -> None:
    began = time.monotonic()
    parts = given.only or (["burst"] if given.profile else list(PARTS))
    results: dict[str, Any] = {"machine": machine.facts()}
    for part in parts:
        out = HOMES / f"{part}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        passed_on = [word for word in sys.argv[1:] if word]
        command = [sys.executable, "-m", "benchmarks", *passed_on, "--part", part, "--out", str(out)]
        done = subprocess.run(command)
        if done.returncode != 0:
            raise LocalProblem(f"the part {part} broke off (exit {done.returncode}), see above; logs in {HOMES / part}")
        results = merged(results, json.loads(out.read_text()))
    results = _with_ratios(results)
    results["machine"]["minutes"] = round((time.monotonic() - began) / 60, 1)
    if not given.profile:
        _write(Path(given.out), results)
        say(f"\nwrote {given.out}")
    say(report.table(results))


def _with_ratios(results: dict[str, Any]) -> dict[str, Any]:
    chain: Mapping[str, Any] = results.get("chain", {})
    ours = chain.get("changes_per_s")
    ratios = {
        "ratio_to_usual": ratio(ours, results.get("usual", {}).get("changes_per_s")),
        "ratio_to_limit": ratio(ours, results.get("limit", {}).get("changes_per_s")),
    }
    return merged(results, {"chain": {name: value for name, value in ratios.items() if value is not None}})


def _write(path: Path, results: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
