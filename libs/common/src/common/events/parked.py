"""The event about a record that a service has parked. Its bytes stay, encrypted, in a table of the service."""

from typing import ClassVar

from common.events.base import Event


class RecordParked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A service has parked a record: it could not process it, or it follows a parked record of the same key. The real
    topic is `<service>.parked`.

    `topic_name`, `partition` and `offset`: the place of the record. `reason`: a code, such as `bug` or
    `behind_parked`."""

    topic: ClassVar[str] = "parked"

    parked_id: str
    service: str
    reason: str
    topic_name: str
    partition: int
    offset: int

    def key(self) -> str:
        return self.parked_id
