"""`python -m benchmarks`: run each part in its own process, one after the other, then write results.json.

The file then has the parts of this run only. With `--profile` no file is written.

`python -m benchmarks compare A B` compares two commits.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shouwang.runtime.problems import LocalProblem

from benchmarks import burst, latency, machine, report, usual
from benchmarks.compare.command import main as compare
from benchmarks.county import measure as county
from benchmarks.figures import Figures, merged, ratio
from benchmarks.home import HOMES, progress
from benchmarks.limit import measure as limit

RESULTS = Path(__file__).parent / "results.json"
# flag, default and meaning of every size
SIZES = (
    ("--latency-people", 20_000, "people of the latency part"),
    ("--rate", 200, "single changes per second"),
    ("--seconds", 60, "duration of the single changes"),
    ("--people", 50_000, "people of the burst"),
    ("--changes", 100_000, "changes of the burst"),
    ("--usual-people", 3_000, "people of the usual way"),
    ("--usual-changes", 5_000, "changes of the usual way"),
    ("--county-people", 500_000, "people of the county"),
)
PARTS: Mapping[str, Callable[[argparse.Namespace], Figures]] = {
    "latency": lambda options: latency.measure(options.latency_people, options.rate, options.seconds),
    "burst": lambda options: burst.measure(options.people, options.changes, profiled=options.profile),
    "limit": lambda options: limit.measure(),
    "usual": lambda options: usual.measure(options.usual_people, options.usual_changes),
    "county": lambda options: county.measure(options.county_people),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements. Returns 0, or 2 if a part fails or cannot run here. `compare` has its own exit codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["compare"]:
        return compare(words[1:])
    options = _parser().parse_args(words)
    try:
        if options.part:
            _write(Path(options.out), PARTS[options.part](options))
        else:
            _run_parts(options)
    except LocalProblem as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="run only this part (may be repeated)")
    parser.add_argument("--out", default=str(RESULTS), help="the file for the results")
    for flag, default, meaning in SIZES:
        parser.add_argument(flag, type=int, default=default, help=f"{meaning} ({default})")
    parser.add_argument("--profile", action="append", default=[], help="profile a service or postgres in the burst")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser


def _run_parts(options: argparse.Namespace) -> None:
    began = time.monotonic()
    results: Figures = {"machine": machine.facts()}
    for part in _chosen_parts(options):
        results = merged(results, _run_part(part))
    results = _with_ratios(results)
    results["machine"]["minutes"] = round((time.monotonic() - began) / 60, 1)
    if not options.profile:
        _write(Path(options.out), results)
        progress(f"\nwrote {options.out}")
    progress(report.table(results))


def _chosen_parts(options: argparse.Namespace) -> list[str]:
    if options.only:
        return list(options.only)
    return ["burst"] if options.profile else list(PARTS)


def _run_part(part: str) -> Figures:
    """Run one part with the same flags in its own process and return its results."""
    out = HOMES / f"{part}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    flags = [word for word in sys.argv[1:] if word]
    command = [sys.executable, "-m", "benchmarks", *flags, "--part", part, "--out", str(out)]
    done = subprocess.run(command)
    if done.returncode != 0:
        raise LocalProblem(f"part {part} failed (exit code {done.returncode}), see above; logs in {HOMES / part}")
    results: Figures = json.loads(out.read_text())
    return results


def _with_ratios(results: Figures) -> Figures:
    """Add the ratios of our throughput to the usual way and to the raw limit, where both were measured."""
    chain = {}
    for reference in ("usual", "limit"):
        found = ratio(_changes_per_s(results, "chain"), _changes_per_s(results, reference))
        if found is not None:
            chain[f"ratio_to_{reference}"] = found
    return merged(results, {"chain": chain})


def _changes_per_s(results: Mapping[str, Any], part: str) -> float | None:
    found: float | None = results.get(part, {}).get("changes_per_s")
    return found


def _write(path: Path, results: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
