"""Runs one rehearsal as its own process, with a time limit. Its output is masked and all its processes are stopped."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

import msgspec
import psutil
from shouwang.runtime import processes
from shouwang.runtime.paths import REPOSITORY
from shouwang.testing import FOLDER as SHARED_POSTGRES

from benchmarks.environment import own_environment
from benchmarks.home import Report
from benchmarks.rehearse.plan import Rehearsal

LOGS = REPOSITORY / ".shouwang" / "rehearse"
PROGRESS_EVERY_SECONDS = 60.0
POLL_SECONDS = 0.5
END_SECONDS_MAX = 15.0
FIGURES_MAX = 100
FIGURE = re.compile(r"[a-z][a-z0-9_.]{0,60}")
# ID numbers of 18 or 15 digits and mobile numbers. A failing property test prints its synthetic person.
PERSONAL = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15}|1[3-9][0-9]{9})(?![0-9])")
KEPT_VARIABLES = ("SHOUWANG_JARS", "SHOUWANG_TEST_POSTGRES")


@dataclass(slots=True)
class Outcome:
    """The result of a rehearsal. `fault` is None after success, else a short reason. `figures`: numbers by name."""

    name: str
    seconds: float
    fault: str | None
    figures: Mapping[str, float] = field(default_factory=dict)


class _Figure(msgspec.Struct):
    name: str
    value: float


def run(rehearsal: Rehearsal, report: Report, logs: Path) -> Outcome:
    """Run a rehearsal to its end or its time limit. Its output goes to `<logs>/<name>.log`, with masked ID and phone
    numbers.

    `report` takes lines of progress.
    """
    logs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="shouwang-rehearse-"))
    began = time.monotonic()
    try:
        fault = _run_process(rehearsal, folder, logs / f"{rehearsal.name}.log", report)
        figures = _figures(folder)
    finally:
        leftovers = _stop_leftovers(folder)
        shutil.rmtree(folder, ignore_errors=True)
    fault = fault or _hidden_fault(rehearsal, figures, leftovers)
    return Outcome(rehearsal.name, time.monotonic() - began, fault, figures or {})


def _figures(folder: Path) -> dict[str, float] | None:
    """All numbers of a run. None if some are malformed, because a fault must not end the whole series."""
    try:
        return _test_counts(folder / "junit.xml") | _reported_figures(folder / "figures")
    except (ValueError, ElementTree.ParseError):
        return None


def _hidden_fault(rehearsal: Rehearsal, figures: Mapping[str, float] | None, leftovers: Sequence[str]) -> str | None:
    """A fault of a run whose exit code is 0."""
    if figures is None:
        return "its figures are malformed"
    if rehearsal.command[0] == "pytest" and not figures.get("tests_passed"):
        return "no test passed"
    return f"left running: {', '.join(leftovers)}" if leftovers else None


def _run_process(rehearsal: Rehearsal, folder: Path, log: Path, report: Report) -> str | None:
    """Run the command of a rehearsal in `folder`. Returns the fault, or None."""
    child = subprocess.Popen(
        _command(rehearsal, folder),
        cwd=REPOSITORY,
        env=_environment(rehearsal, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert child.stdout is not None
    copying = Thread(target=_copy_masked, args=(child.stdout, log), daemon=True)
    copying.start()
    try:
        in_time = _wait(child, rehearsal, report)
    finally:
        _kill_session(child)
        copying.join(END_SECONDS_MAX)
    if not in_time:
        return f"not done within {rehearsal.seconds_max / 60:.0f} minutes"
    return None if child.returncode == 0 else f"exit code {child.returncode}"


def _command(rehearsal: Rehearsal, folder: Path) -> list[str]:
    program, *words = rehearsal.command
    if program == "pytest":
        return [sys.executable, "-m", "pytest", f"--junitxml={folder / 'junit.xml'}", *words]
    return [sys.executable, *words]


def _environment(rehearsal: Rehearsal, folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    own = {
        "TMPDIR": str(folder),
        "SHOUWANG_HOME": str(folder / "home"),
        "SHOUWANG_FIGURES": str(folder / "figures"),
        "PYTHONUNBUFFERED": "1",
    }
    return own_environment() | kept | dict(rehearsal.env) | own


def mask(text: str) -> str:
    """The text without ID numbers and mobile numbers."""
    return PERSONAL.sub("(number)", text)


def _copy_masked(output: IO[str], log: Path) -> None:
    with output, log.open("w", encoding="utf-8") as file:
        for line in output:
            file.write(mask(line))
            file.flush()


def _wait(child: subprocess.Popen[str], rehearsal: Rehearsal, report: Report) -> bool:
    """Wait for the end of a process. Returns whether it ended within its time limit."""
    began = reported_at = time.monotonic()
    while child.poll() is None:
        now = time.monotonic()
        if now - began > rehearsal.seconds_max:
            return False
        if now - reported_at >= PROGRESS_EVERY_SECONDS:
            reported_at = now
            report(f"  {rehearsal.name}: {(now - began) / 60:.0f} min, at most {rehearsal.seconds_max / 60:.0f}")
        time.sleep(POLL_SECONDS)
    return True


def _kill_session(child: subprocess.Popen[str]) -> None:
    """Kill the process and its session if it still runs."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(END_SECONDS_MAX)


def _stop_leftovers(folder: Path) -> list[str]:
    """Stop the processes that the rehearsal left running, and return their names. Their TMPDIR is `folder`."""
    processes.wait_until(lambda: not _leftovers(folder), END_SECONDS_MAX, every_seconds=POLL_SECONDS)
    found = _leftovers(folder)
    for pid in found:
        processes.kill(pid)
    return sorted(set(found.values()))


def _leftovers(folder: Path) -> dict[int, str]:
    """Names by pid of the processes whose TMPDIR is `folder`, without the PostgreSQL of all test runs."""
    found = {}
    for process in psutil.process_iter():
        # A process may end meanwhile, or belong to another user and so not to us.
        with suppress(psutil.Error):
            if _belongs_to(folder, process):
                found[process.pid] = process.name()
    return found


def _belongs_to(folder: Path, process: psutil.Process) -> bool:
    return process.environ().get("TMPDIR") == str(folder) and not _is_shared(process)


def _is_shared(process: psutil.Process) -> bool:
    """Whether a process belongs to the PostgreSQL of all test runs, which ends after its last user."""
    return str(SHARED_POSTGRES) in (process.cwd(), *process.cmdline()) or process.cwd() == str(SHARED_POSTGRES / "data")


def _reported_figures(file: Path) -> dict[str, float]:
    """The first FIGURES_MAX numbers that the rehearsal reported, one JSON object per line.

    Text is rejected: it may name a person.

    Raises ValueError for a malformed line or name."""
    if not file.exists():
        return {}
    lines = file.read_bytes().splitlines()[:FIGURES_MAX]
    found = [msgspec.json.decode(line, type=_Figure) for line in lines]
    if wrong := [figure.name for figure in found if not FIGURE.fullmatch(figure.name)]:
        raise ValueError(f"a figure's name must match {FIGURE.pattern}, and {len(wrong)} do not")
    return {figure.name: figure.value for figure in found}


def _test_counts(file: Path) -> dict[str, float]:
    """Passed, failed and skipped tests of a JUnit file; empty without the file. Raises ElementTree.ParseError."""
    if not file.exists():
        return {}
    total: Counter[str] = Counter()
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        total.update({name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")})
    failed = total["failures"] + total["errors"]
    return {
        "tests_passed": total["tests"] - failed - total["skipped"],
        "tests_failed": failed,
        "tests_skipped": total["skipped"],
    }
