"""Load the checks with their limits and deadlines, which are dated data, from `contracts/checks.yaml`."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from shell.settings import repository_root

from supervision.domain.alerts import Circumstance, Severities, Severity
from supervision.domain.matters import Limits
from supervision.domain.visits import DurationRule, VisitRules

Status = Literal["documented", "example"]
_CIRCUMSTANCES: Final[frozenset[tuple[str, Circumstance]]] = frozenset({("V01", "day_of_death")})


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A check. `severity_if`: its severity by circumstance, where it differs from `severity`."""

    id: str
    severity: Severity
    severity_if: Mapping[Circumstance, Severity] = {}
    text: str
    status: Status

    def __post_init__(self) -> None:
        for circumstance in self.severity_if:
            if (self.id, circumstance) not in _CIRCUMSTANCES:
                raise ValueError(f"check {self.id} does not know the circumstance {circumstance}")


class MinutesOfItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    item: str
    from_: date = msgspec.field(name="from")
    duration_minutes_min: int
    duration_minutes_max: int
    status: Status


class Deadlines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days after the alert until it must be explained, decided and closed."""

    explain: int
    decide: int
    close: int
    status: Status


class OverdueDays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days after which an open matter becomes an alert: a hold, and a hospital stay without an end."""

    hold: Annotated[int, msgspec.Meta(ge=1, le=366)]
    open_stay: Annotated[int, msgspec.Meta(ge=1, le=366)]
    status: Status


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checks: tuple[Check, ...]
    minutes: tuple[MinutesOfItem, ...]
    entitlement_wait_minutes: int
    deadline_days: Deadlines
    overdue_days: OverdueDays
    suppression_threshold: int

    @property
    def visit_rules(self) -> VisitRules:
        durations = [
            DurationRule(m.item, m.from_, m.duration_minutes_min, m.duration_minutes_max) for m in self.minutes
        ]
        return VisitRules(durations, self.entitlement_wait, self._severities())

    def _severities(self) -> Severities:
        found: dict[tuple[str, Circumstance | None], Severity] = {}
        for check in self.checks:
            found[check.id, None] = check.severity
            for circumstance, severity in check.severity_if.items():
                found[check.id, circumstance] = severity
        return found

    @property
    def entitlement_wait(self) -> timedelta:
        return timedelta(minutes=self.entitlement_wait_minutes)

    @property
    def matter_limits(self) -> Limits:
        return Limits(self.overdue_days.hold, self.overdue_days.open_stay)

    def named(self, check: str) -> Check:
        """Return the check with this id. Raises KeyError."""
        return {c.id: c for c in self.checks}[check]


def load_checks(path: Path) -> Checks:
    """Load the checks from their file. Raises msgspec.ValidationError if the file has another form."""
    return msgspec.yaml.decode(path.read_bytes(), type=Checks)


@cache
def checks() -> Checks:
    return load_checks(repository_root() / "contracts" / "checks.yaml")
