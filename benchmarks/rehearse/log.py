"""Reads and writes the committed log: the last result of each rehearsal, with commit and machine."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shouwang.runtime.paths import REPOSITORY

from benchmarks import machine
from benchmarks.rehearse.plan import Rehearsal
from benchmarks.rehearse.runner import Outcome

LOG = Path(__file__).parents[1] / "rehearsals.json"
GIT_SECONDS_MAX = 20


def read(file: Path = LOG) -> dict[str, Any]:
    """Entries by name of the rehearsal; empty if there is no log yet."""
    if not file.exists():
        return {}
    entries: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return entries


def record(rehearsal: Rehearsal, outcome: Outcome, file: Path = LOG) -> None:
    """Replace the entry of this rehearsal at once, so that an interrupted run keeps its earlier results."""
    _write(file, read(file) | {rehearsal.name: entry(rehearsal, outcome)})


def _write(file: Path, entries: Mapping[str, Any]) -> None:
    text = json.dumps(dict(sorted(entries.items())), ensure_ascii=False, indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def entry(rehearsal: Rehearsal, outcome: Outcome) -> dict[str, Any]:
    """The entry of one run: its result and figures, without the output of the rehearsal."""
    return {
        "shows": rehearsal.shows,
        "result": "passed" if outcome.fault is None else f"failed: {outcome.fault}",
        "minutes": round(outcome.seconds / 60, 1),
        "settings": dict(rehearsal.env),
        "figures": dict(outcome.figures),
        "machine": machine.facts() | {"uncommitted_changes": _has_changes()},
    }


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line per rehearsal of this run."""
    width = max(len(outcome.name) for outcome in outcomes)
    return "\n".join(_summary_line(outcome, width) for outcome in outcomes)


def _summary_line(outcome: Outcome, width: int) -> str:
    figures = ", ".join(f"{name} {value:g}" for name, value in outcome.figures.items())
    result = "passed" if outcome.fault is None else f"FAILED ({outcome.fault})"
    return f"{outcome.name:<{width}}  {outcome.seconds / 60:6.1f} min  {result}  {figures}".rstrip()


def listing(rehearsals: Sequence[Rehearsal], entries: Mapping[str, Any]) -> str:
    """Two lines per rehearsal: rough minutes and purpose, then the last result."""
    width = max(len(rehearsal.name) for rehearsal in rehearsals)
    lines = []
    for rehearsal in rehearsals:
        lines.append(f"{rehearsal.name:<{width}}  ~{rehearsal.minutes} min  {rehearsal.shows}")
        lines.append(f"{'':<{width}}  {_last_result(entries.get(rehearsal.name))}")
    return "\n".join(lines)


def _last_result(entry: Mapping[str, Any] | None) -> str:
    return f"{entry['result']} on {entry['machine']['date'][:10]}" if entry else "not run yet"


def _has_changes() -> bool:
    """Whether tracked files are changed. The log itself does not count, because every run changes it."""
    log_path = LOG.relative_to(REPOSITORY).as_posix()
    return any(not line.endswith(log_path) for line in _git_status().splitlines())


def _git_status() -> str:
    command = ["git", "status", "--porcelain", "--untracked-files=no"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=GIT_SECONDS_MAX).stdout
