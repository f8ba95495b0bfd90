"""One rehearsal as a process of its own: bounded in time, its output masked, everything it started stopped."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
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
from benchmarks.rehearse.plan import Rehearsal

LOGS = REPOSITORY / ".shouwang" / "rehearse"
TELL_EVERY_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.5
END_SECONDS_MAX = 15.0
FIGURES_MAX = 100
FIGURE = re.compile(r"[a-z][a-z0-9_.]{0,60}")
# An ID number of 18 or 15 digits and a mobile number: a failing property prints the synthetic person that it found.
PERSONAL = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15}|1[3-9][0-9]{9})(?![0-9])")
KEPT = ("SHOUWANG_JARS", "SHOUWANG_TEST_POSTGRES")


@dataclass(slots=True)
class Outcome:
    """`fault` is None if it passed, else a short reason. `figures`: numbers only, by name."""

    name: str
    seconds: float
    fault: str | None
    figures: Mapping[str, float] = field(default_factory=dict)


class _Figure(msgspec.Struct):
    name: str
    value: float


def run(rehearsal: Rehearsal, say: Callable[[str], None], logs: Path) -> Outcome:
    """Run it to its end or its time limit. The output goes to `<logs>/<name>.log`; ID and phone numbers are masked."""
    logs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="shouwang-rehearse-"))
    began = time.monotonic()
    try:
        fault = _run(rehearsal, folder, logs / f"{rehearsal.name}.log", say)
        figures = _counts(folder / "junit.xml") | _figures(folder / "figures")
    finally:
        left = _stop_left(folder)
        shutil.rmtree(folder, ignore_errors=True)
    if fault is None and rehearsal.command[0] == "pytest" and not figures.get("tests_passed"):
        fault = "no test passed"
    if fault is None and left:
        fault = f"left running: {', '.join(left)}"
    return Outcome(rehearsal.name, time.monotonic() - began, fault, figures)


def _run(rehearsal: Rehearsal, folder: Path, log: Path, say: Callable[[str], None]) -> str | None:
    """Why it failed, or None."""
    program, *words = rehearsal.command
    command = [sys.executable, *words]
    if program == "pytest":
        command = [sys.executable, "-m", "pytest", f"--junitxml={folder / 'junit.xml'}", *words]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    env = own_environment() | kept | dict(rehearsal.env)
    env |= {"TMPDIR": str(folder), "SHOUWANG_HOME": str(folder / "home"), "PYTHONUNBUFFERED": "1"}
    env["SHOUWANG_FIGURES"] = str(folder / "figures")
    child = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert child.stdout is not None
    copying = Thread(target=_copy, args=(child.stdout, log), daemon=True)
    copying.start()
    try:
        is_late = not _wait(child, rehearsal, say)
    finally:
        _end(child)
        copying.join(END_SECONDS_MAX)
    if is_late:
        return f"not done within {rehearsal.seconds_max / 60:.0f} minutes"
    return None if child.returncode == 0 else f"exit code {child.returncode}"


def mask(text: str) -> str:
    """The text without ID numbers and mobile numbers."""
    return PERSONAL.sub("(number)", text)


def _copy(output: IO[str], log: Path) -> None:
    with output, log.open("w", encoding="utf-8") as kept:
        for line in output:
            kept.write(mask(line))
            kept.flush()


def _wait(child: subprocess.Popen[str], rehearsal: Rehearsal, say: Callable[[str], None]) -> bool:
    """Did it end within its time limit?"""
    began = told = time.monotonic()
    while child.poll() is None:
        now = time.monotonic()
        if now - began > rehearsal.seconds_max:
            return False
        if now - told >= TELL_EVERY_SECONDS:
            told = now
            say(f"  {rehearsal.name}: {(now - began) / 60:.0f} min, at most {rehearsal.seconds_max / 60:.0f}")
        time.sleep(LOOK_EVERY_SECONDS)
    return True


def _end(child: subprocess.Popen[str]) -> None:
    """Kill its session if it still runs."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(END_SECONDS_MAX)


def _stop_left(folder: Path) -> list[str]:
    """Stop what the rehearsal has left running, and name it. Its processes have our folder as TMPDIR."""
    processes.wait_until(lambda: not _left(folder), END_SECONDS_MAX, every_seconds=LOOK_EVERY_SECONDS)
    found = _left(folder)
    for pid in found:
        processes.kill(pid)
    return sorted(set(found.values()))


def _left(folder: Path) -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder) and not _is_shared(process):
                found[process.pid] = process.name()
        except psutil.Error:  # ended meanwhile, or of another user and so not ours
            continue
    return found


def _is_shared(process: psutil.Process) -> bool:
    """Does it belong to the PostgreSQL that all test runs share? It ends by itself after its last user."""
    return str(SHARED_POSTGRES) in (process.cwd(), *process.cmdline()) or process.cwd() == str(SHARED_POSTGRES / "data")


def _figures(file: Path) -> dict[str, float]:
    """The numbers that the rehearsal has reported, one JSON object a line. Text is refused: it may name a person."""
    if not file.exists():
        return {}
    lines = file.read_bytes().splitlines()[:FIGURES_MAX]
    found = [msgspec.json.decode(line, type=_Figure) for line in lines]
    if wrong := [one.name for one in found if not FIGURE.fullmatch(one.name)]:
        raise ValueError(f"a figure's name must match {FIGURE.pattern}, and {len(wrong)} do not")
    return {one.name: one.value for one in found}


def _counts(file: Path) -> dict[str, float]:
    """How many tests passed, failed and were skipped."""
    if not file.exists():
        return {}
    suites = ElementTree.parse(file).getroot().iter("testsuite")
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in suites:
        for name in total:
            total[name] += int(suite.get(name, "0"))
    failed = total["failures"] + total["errors"]
    return {
        "tests_passed": total["tests"] - failed - total["skipped"],
        "tests_failed": failed,
        "tests_skipped": total["skipped"],
    }
