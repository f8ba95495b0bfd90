"""Locks and cleans the folder of a comparison: one comparison per checkout at a time, and only logs left behind."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem

from benchmarks.compare.platform import discard

FOLDER = REPOSITORY / ".shouwang" / "compare"


@contextmanager
def alone() -> Iterator[None]:
    """Lock the folder. Before and after, stop all processes of its homes and remove the commits and their data.

    Raises LocalProblem if another comparison runs.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalProblem("Another comparison of this checkout is running: wait for its end.") from None
        _clean_up()
        try:
            yield
        finally:
            _clean_up()


def _clean_up() -> None:
    for home in FOLDER.glob("home-*"):
        discard(home)
    for folder in FOLDER.glob("commit-*"):
        shutil.rmtree(folder, ignore_errors=True)
