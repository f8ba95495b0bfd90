"""Turns the bytes of one event into `Pushed` or `Rejected`. Faulty content never raises an exception.

The fast path is one typed decode. Only an event that fails it is decoded again, to find all faults.
"""

from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from common.calendar import civil_date
from common.codes import certificate
from common.codes.id_number import check, normalise
from common.events.facts import Kind
from common.events.kinds import WITHOUT_VALUE
from common.events.population import KIND_OF_TYPE, PopulationData, PopulationEvent, event_struct
from common.events.pushed_values import (
    BankAccountValue,
    DisabilityValue,
    HouseholdValue,
    IdentityChangeValue,
    LowIncomeValue,
    PopulationValue,
    RegistrationValue,
)
from msgspec.structs import replace
from shell.privacy import Vault, vault

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Member, Pushed, Source
from ingestion.domain.receipts import Rejected
from ingestion.reading.checks import OPEN_END, check_event, code_of_time
from ingestion.reading.faults import FAULTS_MAX, explain
from ingestion.register.sources import registered


class _Typed(msgspec.Struct, frozen=True, gc=False):
    type: str


class _UnreadData(PopulationData[Any], frozen=True, kw_only=True):
    value: msgspec.Raw = msgspec.Raw(b"null")


class _UnreadEvent(PopulationEvent[Any], frozen=True, kw_only=True):
    """An event whose value may be anything."""

    data: _UnreadData


_type_of = msgspec.json.Decoder(_Typed)
_events: Final[dict[str, msgspec.json.Decoder[PopulationEvent[Any]]]] = {
    type_: msgspec.json.Decoder(event_struct(kind)) for type_, kind in KIND_OF_TYPE.items()
}
_unread: Final = msgspec.json.Decoder(_UnreadEvent)
_FAILED: Final = (msgspec.MsgspecError, RecursionError, ValueError)
_encode = msgspec.json.Encoder().encode


def read_event(
    raw: bytes | msgspec.Raw,
    now: datetime,
    *,
    only_source: str | None = None,
    not_yours: str = "source_not_yours",
    traceparent: str | None = None,
) -> Pushed | Rejected:
    """Read one structured event in valid UTF-8.

    `only_source`: the sender may send for this source alone; a rejection then counts for it, whatever source the event
    names. `not_yours`: the code for an event that names another source."""
    try:
        type_ = _type_of.decode(raw).type
        event, ignored = _decode(_events[type_], raw)
    except (*_FAILED, KeyError) as error:
        return _reject(raw, explain(raw, error), sender=only_source)
    kind, source = KIND_OF_TYPE[type_], registered().get(event.source)
    if only_source is not None and event.source != only_source:
        return _reject(raw, [fault("/source", not_yours)], event, only_source, _day(event.time, now))
    faults = _source_faults(source, kind)
    person = check(event.data.person.id_number, civil_date(now))
    faults += check_event(kind, event, person, now)
    if faults or source is None:
        return _reject(raw, faults, event, only_source, _day(event.time, now))
    pushed = _pushed(kind, source, event, person.number, traceparent)  # type: ignore[union-attr]
    return replace(pushed, value_ignored=True) if ignored else pushed


def _decode(
    decoder: msgspec.json.Decoder[PopulationEvent[Any]], raw: bytes | msgspec.Raw
) -> tuple[PopulationEvent[Any], bool]:
    """Decode an event; also return whether it has a value that its action does not use. Raises one of _FAILED.

    Such a value may be anything. It is dropped unread, so that it never causes the rejection of an end or an
    annulment."""
    event: PopulationEvent[Any]
    try:
        event = decoder.decode(raw)
    except _FAILED:
        event = _unread.decode(raw)
        if event.data.action not in WITHOUT_VALUE:
            raise
    if event.data.value is None or event.data.action not in WITHOUT_VALUE:
        return event, False
    return _without_value(event), True


def _without_value(event: PopulationEvent[Any]) -> PopulationEvent[Any]:
    fields = {name: getattr(event.data, name) for name in PopulationData.__struct_fields__}
    return replace(event, data=PopulationData(**fields | {"value": None}))


def _source_faults(source: Source | None, kind: Kind) -> list[Fault]:
    if source is None:
        return [fault("/source", "source_unknown")]
    if source.internal:
        return [fault("/source", "source_internal")]
    if not source.active:
        return [fault("/source", "source_suspended")]
    return [] if kind in source.ranks else [fault("/type", "kind_not_registered")]


def _pushed(kind: Kind, source: Source, event: PopulationEvent[Any], number: str, traceparent: str | None) -> Pushed:
    keys, data, value = vault(), event.data, event.data.value
    time = event.time.astimezone(UTC)
    kept = _kept(event, time)
    return Pushed(
        event_id=keys.event_id(event.source, event.id),
        id=event.id,
        source=source,
        kind=kind,
        action=data.action,
        time=time,
        day=civil_date(time),
        person=Member(keys.blind_index(number), number),
        name=value.name if isinstance(value, RegistrationValue) else None,
        valid_from=data.valid_from,
        valid_to=None if data.valid_to == OPEN_END else data.valid_to,
        value=value,
        previous=keys.event_id(event.source, data.previous_event_id) if data.previous_event_id else None,
        household=_household(keys, source, value),
        members=_members(keys, value),
        digest=keys.blind_index(f"content\0{kept.decode()}"),
        kept=kept,
        holder=_certificate_holder(keys, value, number) if isinstance(value, DisabilityValue) else None,
        name_digest=_name_digest(value),
        account=_digest_of_account(value.account_no) if isinstance(value, BankAccountValue) else None,
        traceparent=traceparent,
    )


def _kept(event: PopulationEvent[Any], time: datetime) -> bytes:
    """The event as it is sealed: without unknown attributes, and with its time in UTC."""
    return _encode(
        PopulationEvent(
            specversion="1.0", id=event.id, source=event.source, type=event.type, time=time, data=event.data
        )
    )


def _household(keys: Vault, source: Source, value: PopulationValue | None) -> str | None:
    """Keyed hash of the household number, which is unique within the area of the source."""
    if isinstance(value, HouseholdValue | LowIncomeValue) and value.household_no is not None:
        return keys.event_id(f"household:{source.area}", normalise(value.household_no))
    return None


def _members(keys: Vault, value: PopulationValue | None) -> tuple[Member, ...]:
    """The other persons whom a household list or an identity change names."""
    if isinstance(value, HouseholdValue):
        return tuple(_member(keys, raw) for raw in value.members)
    if isinstance(value, IdentityChangeValue):
        return (_member(keys, value.new_id_number or value.same_person_as or ""),)
    return ()


def _member(keys: Vault, raw: str) -> Member:
    number = check(raw, None).number  # type: ignore[union-attr]
    return Member(keys.blind_index(number), number)


def _certificate_holder(keys: Vault, value: DisabilityValue, number: str) -> Member | None:
    """The person named by the ID number in a disability certificate, if it is not the person's own `number`."""
    printed = certificate.read(value.certificate_no)
    if printed is None or printed.id_number in (None, number):
        return None
    return Member(keys.blind_index(printed.id_number), printed.id_number)


def _name_digest(value: PopulationValue | None) -> bytes:
    """The digest of a registered name, or of the name of an account's holder."""
    if isinstance(value, RegistrationValue):
        return _digest_of_name(value.name)
    if isinstance(value, BankAccountValue):
        return _digest_of_name(value.holder_name)
    return b""


def _digest_of_name(name: str) -> bytes:
    """A keyed hash of a name. Names that differ in white space only have the same hash."""
    return vault().blind_index("name\0" + "".join(name.split()))[:16]


def _digest_of_account(number: str) -> str:
    return vault().blind_index("account\0" + "".join(number.split())).hex()[:32]


def reopen(kept: bytes) -> Pushed:
    """Read an event that was accepted before, from its opened sealed form."""
    decoder = _events[_type_of.decode(kept).type]
    try:
        event = decoder.decode(kept)
    except msgspec.ValidationError:
        event = _decode_old(decoder, kept)
    number = check(event.data.person.id_number, None).number  # type: ignore[union-attr]
    return _pushed(KIND_OF_TYPE[event.type], registered()[event.source], event, number, None)


def _decode_old(decoder: msgspec.json.Decoder[PopulationEvent[Any]], kept: bytes) -> PopulationEvent[Any]:
    """Decode an event that an earlier version accepted although texts end with a line break. Only its ids keep the line
    break."""
    stored = msgspec.json.decode(kept)
    event = decoder.decode(_encode(_without_final_breaks(stored)))
    data = replace(event.data, previous_event_id=stored["data"].get("previous_event_id"))
    return replace(event, id=stored["id"], data=data)


def _without_final_breaks(value: Any) -> Any:
    """The JSON value; from each text, one line break at its end is removed."""
    if isinstance(value, dict):
        return {key: _without_final_breaks(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_final_breaks(part) for part in value]
    return value.removesuffix("\n") if isinstance(value, str) else value


def reject_unread(body: bytes, code: str, sender: str) -> Rejected:
    """The rejection of a body that is not an event or is not read. `sender`: the source that sent it."""
    pointer = "/source" if code == "topic_not_registered" else ""
    return Rejected(id=None, event_id=None, source=sender, day=None, faults=(fault(pointer, code),), body=body)


def _reject(
    raw: bytes | msgspec.Raw,
    faults: list[Fault],
    event: PopulationEvent[Any] | None = None,
    sender: str | None = None,
    day: date | None = None,
) -> Rejected:
    """Make the rejection of an event. `event`: the decoded event; None if it does not decode. `day`: of the event.

    The rejection counts for its `sender`. If the sender may send for all sources (None), it counts for the source that
    the event names."""
    id_, named = (event.id, event.source) if event is not None else id_and_source(raw)
    source = _registered(sender or named)
    return Rejected(
        id=id_,
        event_id=vault().event_id(source, id_) if source and id_ else None,
        source=source,
        day=day,
        faults=tuple(faults[:FAULTS_MAX]),
        body=bytes(raw),
    )


def _registered(source: str | None) -> str | None:
    """The source if it is registered; None for any other."""
    return source if source in registered() else None


def _day(time: datetime, now: datetime) -> date | None:
    """The day of a rejected event; None if its time is at fault."""
    return None if code_of_time(time, now) else civil_date(time)


def named_source(raw: bytes) -> str | None:
    """The source that an event names, even if the event does not decode; None if it names none."""
    return id_and_source(raw)[1]


class _Names(msgspec.Struct):
    id: Any = None
    source: Any = None


def id_and_source(raw: bytes | msgspec.Raw) -> tuple[str | None, str | None]:
    """Id and source of an event that does not decode, if they can be read."""
    try:
        names = msgspec.json.decode(raw, type=_Names)
    except (RecursionError, msgspec.MsgspecError, ValueError):
        return None, None
    return _text(names.id, 128), _text(names.source)


def _text(value: Any, chars_max: int | None = None) -> str | None:
    """The value if it is a text of at most `chars_max` characters; None for any other value."""
    if not isinstance(value, str) or (chars_max is not None and len(value) > chars_max):
        return None
    return value
