"""Open matters of a person that become an alert when they last too long: a hold, an open hospital stay. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol

from common.calendar import start_of_day
from common.message import derived_id

HOLD: Final = "hold_overdue"
STAY: Final = "stay_open_long"
MatterCheck = Literal["hold_overdue", "stay_open_long"]


class Matter(NamedTuple):
    """An open matter. It becomes the alert `check` about `subject` at `due_at`."""

    person_id: str
    check: MatterCheck
    subject: str
    since: datetime
    due_at: datetime

    def continues(self, check: str, subject: str) -> bool:
        """Whether the stored matter is this one. A hold goes on while any death is suspected, on whatever day; another
        stay is another matter."""
        return self.check == check and (check == HOLD or self.subject == subject)


class Stay(Protocol):
    @property
    def event_id(self) -> str: ...
    @property
    def from_(self) -> date | None: ...
    @property
    def to(self) -> date | None: ...


class Visiting(Protocol):
    @property
    def item(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def to(self) -> str | None: ...


def hold_of(person_id: str, decision_id: str, decided_at: datetime, days_max: int) -> Matter:
    """Money and visits wait since the platform learnt of the suspicion, whatever day of death was reported.

    `decision_id`: the event that began the hold; it makes the case of each hold a case of its own."""
    due_at = decided_at + timedelta(days=days_max)
    return Matter(person_id, HOLD, derived_id("hold", person_id, decision_id), decided_at, due_at)


def open_stay_of(
    person_id: str, stays: Sequence[Stay], entitlements: Iterable[Visiting], decided_at: datetime, days_max: int
) -> Matter | None:
    """The oldest stay without an end, None where there is none or where it pauses no visits. A stay without a known
    beginning counts from the decision."""
    open_ = sorted((s for s in stays if s.to is None), key=lambda s: s.from_ or date.min)
    visited = any(e.item == "visiting_care" and e.state == "granted" and e.to is None for e in entitlements)
    if not open_ or not visited:
        return None
    stay = open_[0]
    since = start_of_day(stay.from_) if stay.from_ else decided_at
    subject = derived_id("stay", person_id, stay.event_id)
    return Matter(person_id, STAY, subject, since, since + timedelta(days=days_max))
