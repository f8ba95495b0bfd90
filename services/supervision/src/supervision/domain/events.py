"""What supervision reads of other services' events: only the fields it needs, since it sees every message."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar, Final

import msgspec
from common.events import Event, MoveGap


class SeenEntitlement(msgspec.Struct, frozen=True, kw_only=True):
    """Days stay text: they go to the database as they came."""

    item: str
    state: str
    from_: str = msgspec.field(name="from")
    to: str | None = None


class SeenStay(msgspec.Struct, frozen=True, kw_only=True):
    event_id: str
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None
    hint: bool = False


class SeenCircumstances(msgspec.Struct, frozen=True, kw_only=True):
    in_hospital: tuple[SeenStay, ...] = ()


class SeenEntitlements(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "identification.entitlement"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    entitlements: tuple[SeenEntitlement, ...]
    residence: str | None = None
    hukou: str | None = None
    died_on: date | None = None
    death_suspected_on: date | None = None
    merged_into: str | None = None
    causes: tuple[str, ...] = ()
    circumstances: SeenCircumstances | None = None
    gaps: tuple[MoveGap, ...] = ()


class SeenAbility(msgspec.Struct, frozen=True, kw_only=True):
    level: int
    valid_from: date
    valid_to: date | None = None


class SeenAbilities(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "assessment.ability"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    abilities: tuple[SeenAbility, ...]
    causes: tuple[str, ...] = ()


class SeenVisit(Event, frozen=True, kw_only=True):
    """Any step of a visit; the last four only after check-out. `reason`: why the visit is made, or why the step was
    taken; only a check-out is read for it."""

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


class SeenDue(msgspec.Struct, frozen=True, kw_only=True):
    item: str
    jurisdiction: str
    service_month: str
    amount_fen: int
    state: str


class SeenDues(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "subsidy.payment"

    person_id: str
    lines: tuple[SeenDue, ...]


class SeenRecovery(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "subsidy.payment"

    person_id: str
    recovery_id: str
    jurisdiction: str | None = None


class SeenAccountChange(Event, frozen=True, kw_only=True):
    """`event_id`: of the event that states the new account."""

    topic: ClassVar[str] = "ingestion.case"

    person_id: str
    event_id: str


class SeenGroup(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "ingestion.source"

    group_id: str
    owner: str


class SeenHalt(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "policy.review"

    jurisdiction: str
    version: str


class SeenCitation(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    issuer: str
    date: date
    locator: str


class SeenVersion(msgspec.Struct, frozen=True, kw_only=True):
    valid_from: date
    valid_to: date | None = None
    status: str
    citation: SeenCitation


class SeenItem(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    versions: tuple[SeenVersion, ...] = ()


class SeenList(msgspec.Struct, frozen=True, kw_only=True):
    items: dict[str, SeenItem] = {}


class SeenRelease(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "policy.release"
    state: ClassVar[bool] = True

    jurisdiction: str
    list: SeenList


class SeenParked(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "parked"

    parked_id: str


class SeenReads(Event, frozen=True, kw_only=True):
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
SHAPES: Final[Mapping[str, type[Event]]] = {
    "EntitlementsDecided": SeenEntitlements,
    "AbilitiesDetermined": SeenAbilities,
    **dict.fromkeys(TASK_STATES, SeenVisit),
    "DuesDetermined": SeenDues,
    "RecoveryOpened": SeenRecovery,
    "RecoveryClosed": SeenRecovery,
    "RecordParked": SeenParked,
    "ReadBudgetUsed": SeenReads,
    "AccountChanged": SeenAccountChange,
    "ForeignEventsGrouped": SeenGroup,
    "PolicyVersionHalted": SeenHalt,
    "PolicyVersionPublished": SeenRelease,
}
_decoders: Final = {name: msgspec.json.Decoder(shape) for name, shape in SHAPES.items()}


class _Causes(msgspec.Struct):
    causes: tuple[str, ...] = ()


_decode_causes = msgspec.json.Decoder(_Causes).decode


def decode(what: str, value: bytes) -> Any:
    """The event in the shape above, None for a kind that is only counted. Raises msgspec.MsgspecError."""
    decoder = _decoders.get(what)
    return None if decoder is None else decoder.decode(value)


def causes_of(value: bytes) -> tuple[str, ...]:
    """The changes united in a state, without decoding the state."""
    return _decode_causes(value).causes
