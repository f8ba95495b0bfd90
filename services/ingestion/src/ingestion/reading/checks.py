"""Checks that a schema cannot make: one date against another, a code against its list, one field against another.

All functions are pure; the present instant is an argument.
"""

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from common.calendar import civil_date
from common.codes import certificate, divisions
from common.codes.id_number import IdNumber, IdProblem, check, has_hukou
from common.events.facts import Kind
from common.events.kinds import FROM_REQUIRED, ONE_DAY_KINDS, WITHOUT_VALUE
from common.events.population import (
    ApplicationValue,
    ContactValue,
    DisabilityValue,
    HouseholdValue,
    IdentityChangeValue,
    LivingSituationValue,
    LowIncomeValue,
    PopulationEvent,
    RegistrationValue,
    ResidenceValue,
)
from rules.form.items import ITEM_TITLES

from ingestion.domain.problems import Fault, fault

FUTURE_MAX: Final = timedelta(minutes=5)
YEAR_MIN, YEAR_MAX, RECORD_YEAR_MIN = 1860, 2200, 1949
# Registers write this date for a period without an end.
OPEN_END: Final = date(9999, 12, 31)
_LONG_NUMBER = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])|(?<![A-Za-z])[A-Za-z]{3}[0-9]{12}(?![0-9])")


def check_event(kind: Kind, event: PopulationEvent[Any], person: IdNumber | IdProblem, now: datetime) -> list[Fault]:
    """All faults of a decoded event, except those of its source."""
    faults: list[Fault] = []
    if isinstance(person, IdProblem):
        faults.append(fault("/data/person/id_number", person.code.value))
    if event.subject is not None and holds_id_number(event.subject):
        faults.append(fault("/subject", "id_number_in_attribute"))
    if not RECORD_YEAR_MIN <= event.time.year <= YEAR_MAX:
        return [*faults, fault("/time", "time_impossible" if event.time.year < RECORD_YEAR_MIN else "time_in_future")]
    if event.time > now + FUTURE_MAX:
        faults.append(fault("/time", "time_in_future"))
    today = civil_date(now)
    _check_action(faults, event)
    _check_period(faults, kind, event.data, today)
    _check_value(faults, event, person, today)
    return faults


def _check_value(faults: list[Fault], event: PopulationEvent[Any], person: IdNumber | IdProblem, today: date) -> None:
    value = event.data.value
    if isinstance(value, RegistrationValue):
        _check_hukou(faults, value, person, event.data.valid_from, event.time)
        _check_past(faults, "/data/value/birth_date", value.birth_date, today)
    elif isinstance(value, ResidenceValue):
        _check_division(faults, "/data/value/division", value.division, event.data.valid_from, event.time)
    elif isinstance(value, DisabilityValue):
        _check_certificate(faults, value)
    elif isinstance(value, HouseholdValue):
        _check_members(faults, value, today)
    elif isinstance(value, LivingSituationValue):
        _check_living(faults, value, today)
    elif isinstance(value, IdentityChangeValue):
        _check_identity(faults, value, person, today)
    else:
        _check_other_value(faults, value)


def _check_other_value(faults: list[Fault], value: Any) -> None:
    """The values that one condition covers."""
    if isinstance(value, LowIncomeValue):
        if value.support is not None and value.category != "tekun":
            faults.append(fault("/data/value/support", "support_without_tekun"))
    elif isinstance(value, ContactValue):
        if value.phone is None and not value.contacts:
            faults.append(fault("/data/value", "contact_empty"))
    elif isinstance(value, ApplicationValue):
        _check_item(faults, value.item)


def holds_id_number(text: str) -> bool:
    """Whether a part of the text could be an ID number, even with a wrong check character."""
    for found in _LONG_NUMBER.findall(text):
        read = check(found, None)
        if isinstance(read, IdNumber) or read.code == "id_checksum":
            return True
    return False


def _check_action(faults: list[Fault], event: PopulationEvent[Any]) -> None:
    data = event.data
    if data.action == "created":
        if data.previous_event_id is not None:
            faults.append(fault("/data/previous_event_id", "previous_not_allowed"))
    elif data.previous_event_id is None:
        faults.append(fault("/data/previous_event_id", "previous_required"))
    elif data.previous_event_id == event.id:
        faults.append(fault("/data/previous_event_id", "previous_is_itself"))
    if data.value is None and data.action not in WITHOUT_VALUE:
        faults.append(fault("/data/value", "value_required"))


def _check_period(faults: list[Fault], kind: Kind, data: Any, today: date) -> None:
    start = data.valid_from
    end = data.valid_to if data.valid_to != OPEN_END else None
    if start is not None and not YEAR_MIN <= start.year <= YEAR_MAX:
        faults.append(fault("/data/valid_from", "date_range"))
    if end is not None and not YEAR_MIN <= end.year <= YEAR_MAX:
        faults.append(fault("/data/valid_to", "date_range"))
    if start is not None and data.valid_to is not None and start >= data.valid_to:
        faults.append(fault("/data/valid_to", "period"))
    if data.action == "ended" and end is None:
        faults.append(fault("/data/valid_to", "valid_to_required"))
    if kind not in FROM_REQUIRED or data.action in WITHOUT_VALUE:
        return
    if start is None:
        faults.append(fault("/data/valid_from", "valid_from_required"))
    elif kind in ONE_DAY_KINDS:
        _check_one_day(faults, start, end, today)


def _check_one_day(faults: list[Fault], start: date, end: date | None, today: date) -> None:
    if start > today:
        faults.append(fault("/data/valid_from", "in_future"))
    if end is not None and end != start + timedelta(days=1):
        faults.append(fault("/data/valid_to", "one_day"))


@lru_cache(maxsize=65536)
def _in_force(code: str, on: date | None) -> bool:
    return divisions.known(code, on)


def _check_division(faults: list[Fault], pointer: str, code: str, since: date | None, time: datetime) -> None:
    """A register may name a division of 1950 by its code of then or of today: both are valid."""
    if not _in_force(code, None):
        faults.append(fault(pointer, "division_unknown"))
    elif not (_in_force(code, civil_date(time)) or (since is not None and _in_force(code, since))):
        faults.append(fault(pointer, "division_not_in_force"))


def _check_hukou(
    faults: list[Fault], value: RegistrationValue, person: IdNumber | IdProblem, since: date | None, time: datetime
) -> None:
    """A citizen has a hukou. A holder of a residence permit has none and is registered where the person lives."""
    if value.hukou_division is not None:
        _check_division(faults, "/data/value/hukou_division", value.hukou_division, since, time)
    if isinstance(person, IdNumber) and has_hukou(person.number):
        if value.hukou_division is None:
            faults.append(fault("/data/value/hukou_division", "hukou_required"))
        if value.hukou_kind is None:
            faults.append(fault("/data/value/hukou_kind", "hukou_required"))


def _check_past(faults: list[Fault], pointer: str, day: date, today: date) -> None:
    if day > today:
        faults.append(fault(pointer, "in_future"))
    elif day.year < YEAR_MIN:
        faults.append(fault(pointer, "date_range"))


def _check_certificate(faults: list[Fault], value: DisabilityValue) -> None:
    """The number must be possible, and class and level must be the same. `domain.chains` tests whose number it is."""
    printed = certificate.read(value.certificate_no)
    if printed is None or printed.id_number is None:
        faults.append(fault("/data/value/certificate_no", "certificate_id_mismatch"))
    elif (printed.class_, printed.level) != (value.class_, value.level):
        faults.append(fault("/data/value/certificate_no", "certificate_class_mismatch"))


def _check_members(faults: list[Fault], value: HouseholdValue, today: date) -> None:
    seen: set[str] = set()
    for place, raw in enumerate(value.members):
        member = check(raw, today)
        if isinstance(member, IdProblem):
            faults.append(fault(f"/data/value/members/{place}", member.code.value))
        elif member.number in seen:
            faults.append(fault(f"/data/value/members/{place}", "duplicate_entry"))
        else:
            seen.add(member.number)


def _check_item(faults: list[Fault], item: str) -> None:
    """A national item code, or an item code of an area with the area's code before it."""
    prefix, dot, _ = item.partition(".")
    if not (_in_force(prefix, None) if dot else item in ITEM_TITLES):
        faults.append(fault("/data/value/item", "item_unknown"))


def _check_identity(faults: list[Fault], value: IdentityChangeValue, person: IdNumber | IdProblem, today: date) -> None:
    fields = {"new_id_number": value.new_id_number, "same_person_as": value.same_person_as}
    numbers = [(f"/data/value/{field}", raw) for field, raw in fields.items() if raw is not None]
    if len(numbers) != 1:
        faults.append(fault("/data/value", "one_of_two"))
    for pointer, raw in numbers:
        other = check(raw, today)
        if isinstance(other, IdProblem):
            faults.append(fault(pointer, other.code.value))
        elif isinstance(person, IdNumber) and other.number == person.number:
            faults.append(fault(pointer, "same_number"))


def _check_living(faults: list[Fault], value: LivingSituationValue, today: date) -> None:
    if len(set(value.tags)) != len(value.tags):
        faults.append(fault("/data/value/tags", "duplicate_entry"))
    if value.verified_on is not None:
        _check_past(faults, "/data/value/verified_on", value.verified_on, today)
