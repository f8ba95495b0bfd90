"""Find the open matters of a person: a hold (a suspected death) and an open hospital stay. A matter that lasts too
long becomes an alert."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from common.calendar import start_of_day
from common.message import derived_id

from supervision.domain.events import PartialEntitlement, PartialEntitlements, PartialStay

HOLD: Final = "hold_overdue"
STAY: Final = "stay_open_long"
MatterCheck = Literal["hold_overdue", "stay_open_long"]


class Limits(NamedTuple):
    """Days after which an open matter becomes an alert."""

    hold_days: int
    open_stay_days: int


class Matter(NamedTuple):
    """An open matter. At `due_at` it becomes the alert `check` with this subject."""

    person_id: str
    check: MatterCheck
    subject: str
    since: datetime
    due_at: datetime

    def continues(self, check: str, subject: str) -> bool:
        """Whether this matter continues a stored one. A hold lasts while any death is suspected, whatever its day.
        Another stay is another matter."""
        return self.check == check and (check == HOLD or self.subject == subject)


def matters_of(decision: PartialEntitlements, decision_id: str, decided_at: datetime, limits: Limits) -> list[Matter]:
    """Return the open matters of one decision: none after a death or a merge."""
    if decision.died_on is not None or decision.merged_into is not None:
        return []
    found: list[Matter] = []
    if decision.death_suspected_on is not None:
        found.append(hold_of(decision.person_id, decision_id, decided_at, limits.hold_days))
    if decision.circumstances is not None:
        # a hint pauses no visits and ends by itself
        stays = [stay for stay in decision.circumstances.in_hospital if not stay.hint]
        stay = open_stay_of(decision.person_id, stays, decision.entitlements, decided_at, limits.open_stay_days)
        found += [stay] if stay is not None else []
    return found


def hold_of(person_id: str, decision_id: str, decided_at: datetime, days_max: int) -> Matter:
    """Return the hold of a suspected death. It begins when the platform learns of the suspicion.

    `decision_id`: the event that began the hold. With it in the subject, each hold is a case of its own."""
    due_at = decided_at + timedelta(days=days_max)
    return Matter(person_id, HOLD, derived_id("hold", person_id, decision_id), decided_at, due_at)


def open_stay_of(
    person_id: str,
    stays: Sequence[PartialStay],
    entitlements: Iterable[PartialEntitlement],
    decided_at: datetime,
    days_max: int,
) -> Matter | None:
    """Return the matter of the oldest stay without an end. None if there is no such stay, or if no visiting care
    without an end is granted: the stay then pauses no visits.

    A stay without a known beginning is measured from the decision.
    """
    open_stays = sorted((s for s in stays if s.to is None), key=lambda s: s.from_ or date.min)
    visited = any(e.item == "visiting_care" and e.state == "granted" and e.to is None for e in entitlements)
    if not open_stays or not visited:
        return None
    stay = open_stays[0]
    since = start_of_day(stay.from_) if stay.from_ else decided_at
    subject = derived_id("stay", person_id, stay.event_id)
    return Matter(person_id, STAY, subject, since, since + timedelta(days=days_max))
