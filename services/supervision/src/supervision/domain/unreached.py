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


def decide_cause(state: str | None, outcome: str | None, verdict: str | None) -> Cause:
    """Return the reason why a person had no valid visit in a month up to a day.

    `state`: the present state of the person's newest task of that month; None: there is no task. `outcome`, `verdict`:
    of the visit of this task. If this visit is valid, it was made after the day, and the cause is `accepted`.
    """
    if state is None:
        return "no_task"
    if state != "completed":
        return _CAUSES[state]
    if outcome == "not_found":
        return "not_found"
    return "disputed" if verdict == "disputed" else "accepted"
