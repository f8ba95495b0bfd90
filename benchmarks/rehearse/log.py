"""The committed log: the last result of every rehearsal, with the commit and the machine of that run."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shouwang.runtime.paths import REPOSITORY

from benchmarks import machine
from benchmarks.rehearse.plan import Rehearsal
from benchmarks.rehearse.running import Outcome

LOG = Path(__file__).parents[1] / "rehearsals.json"
GIT_SECONDS_MAX = 20


def read(file: Path = LOG) -> dict[str, Any]:
    """Entries by name; none if there is no log yet."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def record(rehearsal: Rehearsal, outcome: Outcome, file: Path = LOG) -> None:
    """Replace the entry of this rehearsal at once, so that a run that is cut short loses nothing."""
    entries = read(file) | {rehearsal.name: entry(rehearsal, outcome)}
    file.write_text(json.dumps(dict(sorted(entries.items())), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def entry(rehearsal: Rehearsal, outcome: Outcome) -> dict[str, Any]:
    """The entry of one run in the log. The figures are numbers, and `fault` holds no output of the rehearsal."""
    return {
        "shows": rehearsal.shows,
        "result": "passed" if outcome.fault is None else f"failed: {outcome.fault}",
        "minutes": round(outcome.seconds / 60, 1),
        "settings": dict(rehearsal.env),
        "figures": dict(outcome.figures),
        "machine": machine.facts() | {"uncommitted_changes": _is_changed()},
    }


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line per rehearsal of this run."""
    width = max(len(one.name) for one in outcomes)
    lines = []
    for one in outcomes:
        figures = ", ".join(f"{name} {value:g}" for name, value in one.figures.items())
        result = "passed" if one.fault is None else f"FAILED ({one.fault})"
        lines.append(f"{one.name:<{width}}  {one.seconds / 60:6.1f} min  {result}  {figures}".rstrip())
    return "\n".join(lines)


def listing(rehearsals: Sequence[Rehearsal], entries: Mapping[str, Any]) -> str:
    """One line per rehearsal: rough minutes, last result, and what it shows."""
    width = max(len(one.name) for one in rehearsals)
    lines = []
    for one in rehearsals:
        known = entries.get(one.name)
        last = f"{known['result']} on {known['machine']['date'][:10]}" if known else "not run yet"
        lines.append(f"{one.name:<{width}}  ~{one.minutes} min  {one.shows}\n{'':<{width}}  {last}")
    return "\n".join(lines)


def _is_changed() -> bool:
    said = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=GIT_SECONDS_MAX,
    ).stdout
    # the log itself changes with every run
    return any(not line.endswith(LOG.relative_to(REPOSITORY).as_posix()) for line in said.splitlines())
