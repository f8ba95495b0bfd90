"""What could not be processed. The bytes stay, encrypted, in the service's own table."""

from typing import ClassVar

from common.events.base import Event


class RecordParked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The real topic is `<service>.parked`."""

    topic: ClassVar[str] = "parked"

    parked_id: str
    service: str
    reason: str
    topic_name: str
    partition: int
    offset: int

    def key(self) -> str:
        return self.parked_id
