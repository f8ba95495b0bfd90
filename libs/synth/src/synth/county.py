"""A synthetic county on the day of its initial load, and the load as events."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import takewhile
from random import Random
from typing import Final

from common import calendar
from common.codes import divisions as areas

from synth.cloud_events import (
    Event,
    EventWriter,
    disability_value,
    household_value,
    income_value,
    living_value,
    registration_value,
    residence_value,
)
from synth.identity import Numbers, draw
from synth.truth import Disability, Home, Household, Person, Steps, T, Truth, truth_of

# No fact of the initial load begins later than this before the load, so that changes can follow all of them.
OLD_ENOUGH: Final = timedelta(days=100)
TOWNS_WHERE_UNLISTED: Final = 8
VILLAGES: Final = "东南西北上下前后"
Fact = tuple[str, date, Event]  # kind, first day, value
Place = tuple[str, str]  # code of a town, beginning of its addresses


class County:
    """People and households of some divisions under one exchange platform.

    `today` moves forward while streams are drawn. `truth` is complete when those streams are drawn to their end.
    """

    def __init__(self, divisions: Sequence[str], today: date, numbers: Numbers | None = None) -> None:
        _check_divisions(divisions, today)
        city = _city(divisions[0])
        self.divisions = tuple(divisions)
        self.loaded_on = self.today = today
        self.numbers = numbers or Numbers()
        self.people: list[Person] = []
        self.households: list[Household] = []
        # wrong facts of the initial load, by serial; the histories hold the true ones
        self.wrong_homes: dict[int, Home] = {}
        self.wrong_certificates: dict[int, tuple[date, Disability]] = {}
        self.last_loaded = -1
        self.writer = EventWriter(city)
        self.other_writer = EventWriter(city, "b")
        self.places = {code: _places(code) for code in self.divisions}

    def place(self, rng: Random, division: str) -> tuple[str, str]:
        """A town code and a synthetic address in a division."""
        code, prefix = draw(rng, self._places_of(division))
        village = draw(rng, VILLAGES)
        return code, f"{prefix}{village}合成村{int(rng.random() * 400) + 1}号"

    def _places_of(self, division: str) -> tuple[Place, ...]:
        if division not in self.places:
            self.places[division] = _places(division)
        return self.places[division]

    def was_loaded(self, person: Person) -> bool:
        """Whether the person belongs to the initial load. A newcomer of a stream does not."""
        return person.serial <= self.last_loaded

    def next_serial(self) -> int:
        return self.people[-1].serial + 1

    def initial_load(self) -> Iterator[Event]:
        """Yield the facts of the registers on the day of the load, person by person, a household with its head."""
        load = calendar.start_of_day(self.loaded_on).astimezone(calendar.SHANGHAI) - timedelta(hours=16)
        for person in takewhile(self.was_loaded, self.people):
            time = load + timedelta(seconds=person.serial % 50_000)
            for kind, day, value in self._loaded_facts(person):
                yield self.writer.first(person, kind, day, value, time)[1]

    def _loaded_facts(self, person: Person) -> Iterator[Fact]:
        """The first facts of a person that are old enough, with their errors at that time."""
        limit = self.loaded_on - OLD_ENOUGH
        yield from self._registers(person)
        if person.disability and person.disability[0][0] <= limit:
            yield from self._certificate(person)
        yield from _own_facts(person, limit)
        for household in person.households:
            if household.head is person:
                yield from _household_facts(household, limit)

    def _registers(self, person: Person) -> Iterator[Fact]:
        since, hukou = person.hukou[0]
        yield "registration", since, registration_value(person, hukou)
        since, home = person.home[0]
        yield "residence", since, residence_value(self.wrong_homes.get(person.serial, home))

    def _certificate(self, person: Person) -> Iterator[Fact]:
        since, disability = self.wrong_certificates.get(person.serial) or person.disability[0]
        if disability:
            yield "disability", since, disability_value(person, disability)

    def truth(self, on: date) -> dict[str, Truth]:
        """Return the true facts of all people on a day, by ID number. A platform can know them after the delivery of
        all events drawn so far."""
        return {person.number: truth_of(person, on) for person in self.people}


def _own_facts(person: Person, limit: date) -> Iterator[Fact]:
    """Yield income support, living situation and special family of a person, each since `limit` or earlier."""
    for since, income in _first_up_to(limit, person.income):
        if income:
            yield "low_income", since, income_value(income)
    for since, tags in _first_up_to(limit, person.tags):
        yield "living_situation", since, living_value(tags, since)
    for since, child in _first_up_to(limit, person.special):
        yield "special_family", since, {"only_child": child}


def _household_facts(household: Household, limit: date) -> Iterator[Fact]:
    for since, members in _first_up_to(limit, household.members):
        yield "household", since, household_value(household, members)
        yield from _household_income(household, limit)


def _household_income(household: Household, limit: date) -> Iterator[Fact]:
    for since, income in _first_up_to(limit, household.income):
        if income:
            yield "low_income", since, income_value(income, household)


def _first_up_to(limit: date, steps: Steps[T]) -> Steps[T]:
    """The first step, if it is not later than `limit`."""
    return steps[:1] if steps and steps[0][0] <= limit else ()


def _check_divisions(divisions: Sequence[str], today: date) -> None:
    if not divisions:
        raise ValueError("a county needs at least one division")
    unknown = [code for code in divisions if not areas.known(code, today)]
    if unknown:
        raise ValueError(f"no divisions in force on {today}: {', '.join(unknown)}")


def _city(division: str) -> str:
    above = [code for code in (division, *areas.ancestors(division)) if code.endswith("00") and len(code) == 6]
    return above[0]


def _places(division: str) -> tuple[Place, ...]:
    """Return the towns of a division, each with the beginning of its addresses. A division without listed towns gets
    numbered towns."""
    name = areas.name(division) or ""
    if len(division) > 6:
        return ((division, name),)
    listed = areas.children(division)
    if listed:
        return tuple((code, f"{name}{areas.name(code)}") for code in listed)
    return _numbered_towns(division, name)


def _numbered_towns(division: str, name: str) -> tuple[Place, ...]:
    return tuple((f"{division}{n:03d}", f"{name}第{n}街道") for n in range(1, TOWNS_WHERE_UNLISTED + 1))
