"""Named points at which a test kills the process, to prove that nothing is lost or doubled.

`CRASH_AT=<plan>` ends the process like SIGKILL when it reaches the point of the plan. A plan is
`<point>[@<task>][:<n>]`: only in the asyncio task of that name (`consumer`, `relay`, a job), and at the n-th time
(default 1). `CRASH_AT=@<file>` reads the plan from a file as soon as it exists, so that a test can crash a process that
runs already. `CRASH_ONCE=<file>` crashes only one process: the crash creates the file, and later processes find it.
"""

import asyncio
import os
import signal
from pathlib import Path
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


class Plan:
    """The point at which to crash. `text`: CRASH_AT; `once`: CRASH_ONCE."""

    def __init__(self, text: str, once: str | None = None) -> None:
        self._file = Path(text[1:]) if text.startswith("@") else None
        self._text = "" if self._file else text
        self._once = Path(once) if once else None
        self._passed = 0

    def is_due(self, point: Point) -> bool:
        """Whether the process must crash at `point` now."""
        where, _, count = self._read().partition(":")
        planned, _, task = where.partition("@")
        if planned != point or (task and task != _task_name()) or (self._once and self._once.exists()):
            return False
        self._passed += 1
        return self._passed >= int(count or 1)

    def mark(self) -> None:
        """Create the file of CRASH_ONCE."""
        if self._once:
            self._once.touch()

    def _read(self) -> str:
        if self._file is None:
            return self._text
        try:
            return self._file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""


def _task_name() -> str | None:
    task = asyncio.current_task()
    return task.get_name() if task else None


_plan: Final = Plan(found, os.environ.get("CRASH_ONCE")) if (found := os.environ.get("CRASH_AT")) else None


def crash_point(point: Point) -> None:
    """Crash if a test has planned it for this point."""
    if _plan is not None and _plan.is_due(point):
        _plan.mark()
        os.kill(os.getpid(), signal.SIGKILL)
