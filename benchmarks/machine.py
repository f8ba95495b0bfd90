"""Describes the machine of a measurement, because a figure without its machine cannot be judged."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from shell import clock
from shouwang.runtime.paths import KAFKA_POM

COMMAND_SECONDS_MAX = 20


def facts() -> dict[str, Any]:
    """Date, hardware, software versions, commit and load of this machine, for results.json."""
    return {
        "date": datetime.isoformat(clock.real_now().astimezone(UTC), timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": _kafka(),
        "java": _java(),
        "commit": _output(["git", "rev-parse", "--short", "HEAD"]),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"model name\s*:\s*(.+)", lines)
    return found[1].strip() if found else platform.processor()


def _kafka() -> str:
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)", KAFKA_POM.read_text())
    return found[1] if found else "unknown"


def _java() -> str:
    return next(iter(_output(["java", "-version"]).splitlines()), "")


def _output(command: list[str]) -> str:
    """The output of a command; empty if the program is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()
