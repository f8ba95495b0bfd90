"""Where a service spends its time: the same process under cProfile, ended in order, its costs summed up.

The profiler is switched on by a `sitecustomize` in a folder of the home, so the service is started exactly as always.
"""

import io
import pstats
from collections.abc import Mapping
from pathlib import Path

LINES = 45
_HOOK = '''\
"""Profiles the main thread of this process and writes what it found when the process ends."""
import atexit
import cProfile
import os
import signal
import sys

if "uvicorn" in " ".join(sys.orig_argv):
    profile = cProfile.Profile()
    profile.enable()

    def write() -> None:
        profile.disable()
        profile.dump_stats(os.environ["SHOUWANG_PROFILE"])

    atexit.register(write)
    # uvicorn raises the signal again once it has ended in order
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
'''


def environment(home: Path) -> Mapping[str, str]:
    """What turns the profiler on in a process."""
    folder = home / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK)
    return {"PYTHONPATH": str(folder), "SHOUWANG_PROFILE": str(_stats(home))}


def report(home: Path) -> str:
    """The dearest functions, by their own time and with all they call."""
    out = io.StringIO()
    stats = pstats.Stats(str(_stats(home)), stream=out)
    stats.sort_stats("tottime").print_stats(LINES)
    stats.sort_stats("cumulative").print_stats(LINES)
    return out.getvalue()


def _stats(home: Path) -> Path:
    return home / "profile" / "stats"
