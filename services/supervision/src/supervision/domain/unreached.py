"""Decide why a person with visiting care had no valid visit in a month."""

from typing import Final, Literal

Cause = Literal[
    "no_task",
    "no_provider",
    "offered",
    "declined",
    "accepted",
    "in_progress",
    "not_found",
    "disputed",
    "missed",
    "failed",
    "excused",
    "cancelled",
]
_CAUSES: Final[dict[str, Cause]] = {
    "planned": "no_provider",
    "unplaced": "no_provider",
    "expired": "no_provider",
    "offered": "offered",
    "declined": "declined",
    "accepted": "accepted",
    "in_progress": "in_progress",
    "missed": "missed",
    "failed": "failed",
    "excused": "excused",
    "cancelled": "cancelled",
}


def decide_cause(state: str | None, outcome: str | None) -> Cause:
    """Return the cause. `state`: of the person's newest task of the month; None: no task. `outcome`: of its visit."""
    if state is None:
        return "no_task"
    if state == "completed":
        return "not_found" if outcome == "not_found" else "disputed"
    return _CAUSES[state]
