"""Makes the checks that a schema cannot make: one date against another, a code against its list, one field against
another.

All functions are pure; the present instant is an argument. A function `_check_…` adds the faults that it finds to
`faults`.
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
from common.events.population import PopulationEvent
from common.events.pushed_values import (
    ApplicationValue,
    ContactValue,
    DisabilityValue,
    HouseholdValue,
    IdentityChangeValue,
    LivingSituationValue,
    LowIncomeValue,
    RegistrationValue,
    ResidenceValue,
)
from common.words_zh import ITEMS

from ingestion.domain.problems import Fault, fault

FUTURE_MAX: Final = timedelta(minutes=5)
YEAR_MIN, YEAR_MAX, RECORD_YEAR_MIN = 1860, 2200, 1949
# Registers write this date for a period without an end.
OPEN_END: Final = date(9999, 12, 31)
_LONG_NUMBER = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])|(?<![A-Za-z])[A-Za-z]{3}[0-9]{12}(?![0-9])")


Person = IdNumber | IdProblem


def check_event(kind: Kind, event: PopulationEvent[Any], person: Person, now: datetime) -> list[Fault]:
    """All faults of a decoded event, except those of its source. The data of an event with an impossible year is not
    checked."""
    faults: list[Fault] = []
    if isinstance(person, IdProblem):
        faults.append(fault("/data/person/id_number", person.code.value))
    if event.subject is not None and holds_id_number(event.subject):
        faults.append(fault("/subject", "id_number_in_attribute"))
    code = code_of_time(event.time, now)
    if code is not None:
        faults.append(fault("/time", code))
    if not _is_possible(event.time):
        return faults
    _check_data(faults, kind, event, person, civil_date(now))
    return faults


def _check_data(faults: list[Fault], kind: Kind, event: PopulationEvent[Any], person: Person, today: date) -> None:
    _check_action(faults, event)
    _check_period(faults, kind, event.data, today)
    _check_value(faults, event, person, today)


def code_of_time(time: datetime, now: datetime) -> str | None:
    """The problem code of an event's time; None without a fault. A time without a fault has a civil date."""
    if time.year < RECORD_YEAR_MIN:
        return "time_impossible"
    is_late = time.year > YEAR_MAX or time > now + FUTURE_MAX
    return "time_in_future" if is_late else None


def _is_possible(time: datetime) -> bool:
    return RECORD_YEAR_MIN <= time.year <= YEAR_MAX


def _check_value(faults: list[Fault], event: PopulationEvent[Any], person: Person, today: date) -> None:
    value, since = event.data.value, event.data.valid_from
    if isinstance(value, RegistrationValue):
        _check_hukou(faults, value, person, since, event.time)
        _check_past(faults, "/data/value/birth_date", value.birth_date, today)
    elif isinstance(value, ResidenceValue):
        _check_division(faults, "/data/value/division", value.division, since, event.time)
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
    """Check the kinds of value that need one condition only."""
    if isinstance(value, LowIncomeValue) and value.support is not None and value.category != "tekun":
        faults.append(fault("/data/value/support", "support_without_tekun"))
    if isinstance(value, ContactValue) and value.phone is None and not value.contacts:
        faults.append(fault("/data/value", "contact_empty"))
    if isinstance(value, ApplicationValue):
        _check_item(faults, value.item)


def holds_id_number(text: str) -> bool:
    """Whether a part of the text could be an ID number, even with a wrong check character."""
    return any(_could_be_id_number(found) for found in _LONG_NUMBER.findall(text))


def _could_be_id_number(text: str) -> bool:
    read = check(text, None)
    return isinstance(read, IdNumber) or read.code == "id_checksum"


def _check_action(faults: list[Fault], event: PopulationEvent[Any]) -> None:
    code = _code_of_previous(event)
    if code is not None:
        faults.append(fault("/data/previous_event_id", code))
    if event.data.value is None and event.data.action not in WITHOUT_VALUE:
        faults.append(fault("/data/value", "value_required"))


def _code_of_previous(event: PopulationEvent[Any]) -> str | None:
    """The problem code of a predecessor that the action does not allow, or that is missing."""
    previous = event.data.previous_event_id
    if event.data.action == "created":
        return None if previous is None else "previous_not_allowed"
    if previous is None:
        return "previous_required"
    return "previous_is_itself" if previous == event.id else None


def _check_period(faults: list[Fault], kind: Kind, data: Any, today: date) -> None:
    start = data.valid_from
    end = data.valid_to if data.valid_to != OPEN_END else None
    _check_range(faults, "/data/valid_from", start)
    _check_range(faults, "/data/valid_to", end)
    if start is not None and data.valid_to is not None and start >= data.valid_to:
        faults.append(fault("/data/valid_to", "period"))
    if data.action == "ended" and end is None:
        faults.append(fault("/data/valid_to", "valid_to_required"))
    if kind in FROM_REQUIRED and data.action not in WITHOUT_VALUE:
        _check_start(faults, kind, start, end, today)


def _check_range(faults: list[Fault], pointer: str, day: date | None) -> None:
    if day is not None and not YEAR_MIN <= day.year <= YEAR_MAX:
        faults.append(fault(pointer, "date_range"))


def _check_start(faults: list[Fault], kind: Kind, start: date | None, end: date | None, today: date) -> None:
    """Check the period of a kind that needs its first day."""
    if start is None:
        faults.append(fault("/data/valid_from", "valid_from_required"))
    elif kind in ONE_DAY_KINDS:
        _check_one_day(faults, start, end, today)


def _check_one_day(faults: list[Fault], start: date, end: date | None, today: date) -> None:
    if start > today:
        faults.append(fault("/data/valid_from", "in_future"))
    if end is not None and end - start != timedelta(days=1):
        faults.append(fault("/data/valid_to", "one_day"))


@lru_cache(maxsize=65536)
def _in_force(code: str, on: date | None = None) -> bool:
    """Whether a division code is in force on a day; without `on`, whether it ever was."""
    return divisions.known(code, on)


def _check_division(faults: list[Fault], pointer: str, code: str, since: date | None, time: datetime) -> None:
    """Check that a division code is in force when the event was recorded (`time`) or when the period begins (`since`).

    A register may name a division of 1950 by its code of then or of today: both are valid."""
    if not _in_force(code):
        faults.append(fault(pointer, "division_unknown"))
    elif not _in_force(code, civil_date(time)) and (since is None or not _in_force(code, since)):
        faults.append(fault(pointer, "division_not_in_force"))


def _check_hukou(
    faults: list[Fault], value: RegistrationValue, person: Person, since: date | None, time: datetime
) -> None:
    """Check the hukou of a registration. A citizen has one; a holder of a residence permit has none."""
    if value.hukou_division is not None:
        _check_division(faults, "/data/value/hukou_division", value.hukou_division, since, time)
    if isinstance(person, IdNumber) and has_hukou(person.number):
        _need_hukou(faults, value)


def _need_hukou(faults: list[Fault], value: RegistrationValue) -> None:
    for field in ("hukou_division", "hukou_kind"):
        if getattr(value, field) is None:
            faults.append(fault(f"/data/value/{field}", "hukou_required"))


def _check_past(faults: list[Fault], pointer: str, day: date, today: date) -> None:
    if day > today:
        faults.append(fault(pointer, "in_future"))
    elif day.year < YEAR_MIN:
        faults.append(fault(pointer, "date_range"))


def _check_certificate(faults: list[Fault], value: DisabilityValue) -> None:
    """Check that a certificate number contains a possible ID number, and the stated class and level.

    `domain.chains` tests whose ID number it is."""
    printed = certificate.read(value.certificate_no)
    if printed is None or printed.id_number is None:
        faults.append(fault("/data/value/certificate_no", "certificate_id_mismatch"))
    elif (printed.class_, printed.level) != (value.class_, value.level):
        faults.append(fault("/data/value/certificate_no", "certificate_class_mismatch"))


def _check_members(faults: list[Fault], value: HouseholdValue, today: date) -> None:
    seen: set[str] = set()
    for place, raw in enumerate(value.members):
        code = _code_of_member(check(raw, today), seen)
        if code is not None:
            faults.append(fault(f"/data/value/members/{place}", code))


def _code_of_member(member: Person, seen: set[str]) -> str | None:
    """The problem code of a member of a household; None without a fault. `seen`: the numbers before it; the function
    adds the member's number."""
    if isinstance(member, IdProblem):
        return member.code.value
    if member.number in seen:
        return "duplicate_entry"
    seen.add(member.number)
    return None


def _check_item(faults: list[Fault], item: str) -> None:
    """Check an item code: a national code, or the code of an area, a dot and the area's own item code."""
    prefix, dot, _ = item.partition(".")
    if not (_in_force(prefix) if dot else item in ITEMS):
        faults.append(fault("/data/value/item", "item_unknown"))


def _check_identity(faults: list[Fault], value: IdentityChangeValue, person: Person, today: date) -> None:
    fields = {"new_id_number": value.new_id_number, "same_person_as": value.same_person_as}
    numbers = {f"/data/value/{field}": raw for field, raw in fields.items() if raw is not None}
    if len(numbers) != 1:
        faults.append(fault("/data/value", "one_of_two"))
    for pointer, raw in numbers.items():
        code = _code_of_other(check(raw, today), person)
        if code is not None:
            faults.append(fault(pointer, code))


def _code_of_other(other: Person, person: Person) -> str | None:
    """The problem code of the other number of an identity change; None without a fault."""
    if isinstance(other, IdProblem):
        return other.code.value
    return "same_number" if isinstance(person, IdNumber) and other.number == person.number else None


def _check_living(faults: list[Fault], value: LivingSituationValue, today: date) -> None:
    if len(set(value.tags)) != len(value.tags):
        faults.append(fault("/data/value/tags", "duplicate_entry"))
    if value.verified_on is not None:
        _check_past(faults, "/data/value/verified_on", value.verified_on, today)
