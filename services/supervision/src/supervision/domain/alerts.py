"""An alert as a case: who may do what next. raised → explained → confirmed | dismissed → closed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Severity = Literal["block", "warn"]
AlertState = Literal["raised", "explained", "confirmed", "dismissed", "closed"]
Deed = Literal["explain", "confirm", "dismiss", "close"]
_AFTER: dict[Deed, AlertState] = {
    "explain": "explained",
    "confirm": "confirmed",
    "dismiss": "dismissed",
    "close": "closed",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `subject`: the task, recovery, record or gap; `correlation_id`: the change it goes back to;
    `other_division`: the second area of a case between two."""

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
    """The case does not stand so that this could be done; `reason` is for the caller."""

    reason: str


def decide_step(
    state: AlertState, deed: Deed, *, has_provider: bool, explain_by: datetime, now: datetime
) -> AlertState | Refused:
    """The state after `deed`. A provider is heard first, until its time to explain has passed."""
    if deed == "explain":
        return "explained" if state == "raised" else Refused(f"a case that is {state} takes no explanation")
    if deed == "close":
        return (
            "closed" if state in ("confirmed", "dismissed") else Refused(f"a case that is {state} is not decided yet")
        )
    if state == "raised" and has_provider and now < explain_by:
        return Refused("the provider may still explain")
    if state not in ("raised", "explained"):
        return Refused(f"a case that is {state} is decided already")
    return _AFTER[deed]
