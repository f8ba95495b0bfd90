"""The receipt that answers one pushed event, and the rejection that is stored for a rejected one."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Self

import msgspec

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed

Status = Literal["accepted", "duplicate", "quarantined", "rejected"]


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected event. `id`: the source's own id. `source`: the source for which the rejection counts; None if it is
    not registered. `day`: the civil day of its time; None if the time is unknown. `body`: the event as it was sent, or
    as it is kept if it was valid."""

    id: str | None
    event_id: str | None
    source: str | None
    day: date | None
    faults: tuple[Fault, ...]
    body: bytes


@dataclass(slots=True)
class Receipt:
    """The answer to one event. `accepted` means committed. `problems`: the reasons why the event was rejected or waits,
    and notes on an event that was not rejected (list `notes` of the published codes)."""

    id: str | None
    event_id: str | None
    status: Status
    problems: list[Fault] = field(default_factory=list)

    @classmethod
    def of(cls, event: Pushed, status: Status, *problems: Fault) -> Self:
        return cls(event.id, event.event_id, status, list(problems))


def with_note(receipt: Receipt, event: Pushed) -> Receipt:
    """Note in the receipt that the event had a value that its action does not use. A rejected event gets no note."""
    if event.value_ignored and receipt.status != "rejected":
        receipt.problems.append(fault("/data/value", "value_ignored"))
    return receipt
