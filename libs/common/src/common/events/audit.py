"""The event about the audit log of a service. It takes the head of the hash chain out of the database."""

from typing import ClassVar

from common.events.base import Event, Instant


class AuditSealed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A service has sealed rows of its audit log. The real topic is `<service>.audit`.

    `seal`: the number of the seal: 1, 2, 3, …. `rows`: the number of rows sealed so far. `head`: SHA-256 over the head
    before and the digests of the rows, in hexadecimal. `sealed_to`: the highest audit id in this seal. The event names
    no row and no person.
    """

    topic: ClassVar[str] = "audit"

    service: str
    seal: int
    rows: int
    head: str
    sealed_to: int
    sealed_at: Instant

    def key(self) -> str:
        return self.service
