"""Events about users who read personal data, for the officer who must act. They never name the user."""

from datetime import date
from typing import ClassVar

from common.events.base import Event, Instant


class ReadBudgetUsed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A user asked for more persons in one day than the role allows. Sent once per user, service and day.

    The real topic is `<service>.access`. `case_id`: the officer case about this user and day, the same from every
    service. The audit rows of the refused reads name it as their cause. `division`: the user's area, the nation for a
    user without one.
    """

    topic: ClassVar[str] = "access"

    case_id: str
    service: str
    role: str
    division: str
    day: date
    persons_max: int
    used_at: Instant

    def key(self) -> str:
        return self.division
