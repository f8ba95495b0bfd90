"""Decode events of other services. The classes have only the fields that supervision needs, because it receives every
message of the platform."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar, Final

import msgspec
from common.events import Event, MoveGap


class PartialEntitlement(msgspec.Struct, frozen=True, kw_only=True):
    """One interval of an entitlement. Days stay text, because they go to the database unchanged."""

    item: str
    state: str
    from_: str = msgspec.field(name="from")
    to: str | None = None


class PartialStay(msgspec.Struct, frozen=True, kw_only=True):
    event_id: str
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None
    hint: bool = False


class PartialCircumstances(msgspec.Struct, frozen=True, kw_only=True):
    in_hospital: tuple[PartialStay, ...] = ()


class PartialEntitlements(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "identification.entitlement"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    entitlements: tuple[PartialEntitlement, ...]
    residence: str | None = None
    hukou: str | None = None
    died_on: date | None = None
    death_suspected_on: date | None = None
    merged_into: str | None = None
    causes: tuple[str, ...] = ()
    circumstances: PartialCircumstances | None = None
    gaps: tuple[MoveGap, ...] = ()


class PartialAbility(msgspec.Struct, frozen=True, kw_only=True):
    level: int
    valid_from: date
    valid_to: date | None = None


class PartialAbilities(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "assessment.ability"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    abilities: tuple[PartialAbility, ...]
    causes: tuple[str, ...] = ()


class PartialVisit(Event, frozen=True, kw_only=True):
    """Any step of a visit. `checked_in_at` and `worker` are set by check-in and check-out, `checked_out_at` and
    `outcome` by check-out. `reason`: why the visit or the step was made; supervision reads it only from a check-out."""

    topic: ClassVar[str] = "dispatch.visit"

    person_id: str
    task_id: str
    item: str
    division: str
    window_from: date
    window_to: date
    provider: str | None = None
    reason: str | None = None
    checked_in_at: datetime | None = None
    checked_out_at: datetime | None = None
    worker: str | None = None
    outcome: str = "seen"


class PartialDue(msgspec.Struct, frozen=True, kw_only=True):
    item: str
    jurisdiction: str
    service_month: str
    amount_fen: int
    state: str


class PartialDues(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "subsidy.payment"

    person_id: str
    lines: tuple[PartialDue, ...]


class PartialRecovery(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "subsidy.payment"

    person_id: str
    recovery_id: str
    jurisdiction: str | None = None


class PartialAccountChange(Event, frozen=True, kw_only=True):
    """A changed bank account. `event_id`: the event that states the new account."""

    topic: ClassVar[str] = "ingestion.case"

    person_id: str
    event_id: str


class PartialGroup(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "ingestion.source"

    group_id: str
    owner: str


class PartialHalt(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "policy.review"

    jurisdiction: str
    version: str


class PartialCitation(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    issuer: str
    date: date
    locator: str


class PartialVersion(msgspec.Struct, frozen=True, kw_only=True):
    valid_from: date
    valid_to: date | None = None
    status: str
    citation: PartialCitation


class PartialItem(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    versions: tuple[PartialVersion, ...] = ()


class PartialList(msgspec.Struct, frozen=True, kw_only=True):
    items: dict[str, PartialItem] = {}


class PartialRelease(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "policy.release"
    state: ClassVar[bool] = True

    jurisdiction: str
    list: PartialList


class PartialParkedRecord(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "parked"

    parked_id: str


class PartialReadBudget(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "access"

    case_id: str
    division: str


TASK_STATES: Final[Mapping[str, str]] = {
    "VisitPlanned": "planned",
    "VisitUnplaced": "unplaced",
    "VisitOffered": "offered",
    "VisitAccepted": "accepted",
    "VisitDeclined": "declined",
    "VisitOfferExpired": "expired",
    "VisitCheckedIn": "in_progress",
    "VisitCheckedOut": "completed",
    "VisitFailed": "failed",
    "VisitMissed": "missed",
    "VisitExcused": "excused",
    "VisitCancelled": "cancelled",
}
PARTIAL_EVENTS: Final[Mapping[str, type[Event]]] = {
    "EntitlementsDecided": PartialEntitlements,
    "AbilitiesDetermined": PartialAbilities,
    **dict.fromkeys(TASK_STATES, PartialVisit),
    "DuesDetermined": PartialDues,
    "RecoveryOpened": PartialRecovery,
    "RecoveryClosed": PartialRecovery,
    "RecordParked": PartialParkedRecord,
    "ReadBudgetUsed": PartialReadBudget,
    "AccountChanged": PartialAccountChange,
    "ForeignEventsGrouped": PartialGroup,
    "PolicyVersionHalted": PartialHalt,
    "PolicyVersionPublished": PartialRelease,
}
_decoders: Final = {name: msgspec.json.Decoder(shape) for name, shape in PARTIAL_EVENTS.items()}


class _Causes(msgspec.Struct):
    causes: tuple[str, ...] = ()


_decode_causes = msgspec.json.Decoder(_Causes).decode


def decode(event_type: str, value: bytes) -> Any:
    """Decode an event to one of the classes above; None for a type whose content is not needed.

    Raises msgspec.MsgspecError.
    """
    decoder = _decoders.get(event_type)
    return None if decoder is None else decoder.decode(value)


def causes_of(value: bytes) -> tuple[str, ...]:
    """Decode only the causes of a state event: the ids of the pushed changes behind it."""
    return _decode_causes(value).causes
