"""Decide the actions on an alert by its state: raised → explained → confirmed | dismissed → closed.

An alert without a provider needs no explanation. After the deadline of the explanation, no alert needs one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

Severity = Literal["block", "warn"]
Circumstance = Literal["day_of_death"]
# by check; with a circumstance for the checks that have another severity in it
Severities = Mapping[tuple[str, Circumstance | None], Severity]
AlertState = Literal["raised", "explained", "confirmed", "dismissed", "closed"]
Action = Literal["explain", "confirm", "dismiss", "close"]
_DECISIONS: Final[dict[Action, AlertState]] = {"confirm": "confirmed", "dismiss": "dismissed"}
_DECIDED: Final = ("confirmed", "dismissed")


class Finding(NamedTuple):
    """The result of a check. `subject`: the id of the thing that the check is about, such as a task or a recovery
    (`shapes.AlertOut` lists all). `correlation_id`: the change behind it. `other_division`: the second area of a case
    between two."""

    check: str
    severity: Severity
    subject: str
    person_id: str | None = None
    provider: str | None = None
    division: str | None = None
    correlation_id: str | None = None
    other_division: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The action is not possible in the present state; `reason` is for the caller."""

    reason: str


def decide_step(
    state: AlertState, action: Action, *, has_provider: bool, explain_by: datetime, now: datetime
) -> AlertState | Refused:
    """Return the state after `action`. A decision is refused while the provider may still explain."""
    if action == "explain":
        return "explained" if state == "raised" else Refused(f"a case that is {state} takes no explanation")
    if action == "close":
        return "closed" if state in _DECIDED else Refused(f"a case that is {state} is not decided yet")
    if state == "raised" and has_provider and now < explain_by:
        return Refused("the provider may still explain")
    if state not in ("raised", "explained"):
        return Refused(f"a case that is {state} is decided already")
    return _DECISIONS[action]
