"""Named points at which a test kills the process, to prove that nothing is lost or doubled there.

`CRASH_AT=<point>[:<n>]` ends the process like SIGKILL at the n-th passing (default 1). `CRASH_ONCE=<file>` makes
it happen in one life only: the file is created at the crash and found by the next.
"""

import os
import signal
from typing import Final, Literal

Point = Literal["after_fence", "after_inbox", "before_commit", "after_commit", "after_send", "before_outbox_delete"]
POINTS: Final[tuple[Point, ...]] = (
    "after_fence",
    "after_inbox",
    "before_commit",
    "after_commit",
    "after_send",
    "before_outbox_delete",
)

_armed, _, _count = os.environ.get("CRASH_AT", "").partition(":")
_once = os.environ.get("CRASH_ONCE")
_left = int(_count or 1)
if _once and os.path.exists(_once):
    _armed = ""


def crash_point(point: Point) -> None:
    global _left
    if point != _armed:
        return
    _left -= 1
    if _left > 0:
        return
    if _once:
        with open(_once, "x"):
            pass
    os.kill(os.getpid(), signal.SIGKILL)
