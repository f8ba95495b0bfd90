"""A synthetic county on the day its registers are first loaded, and its initial load as events."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random

from common import calendar
from common.codes import divisions as areas

from synth import scribe as say
from synth.identity import Numbers
from synth.scribe import Event, Scribe
from synth.world import Disability, Home, Household, Person, Truth, truth_of

# Nothing in the initial load begins later than this before the load, so that changes can follow everything.
OLD_ENOUGH = timedelta(days=100)
TOWNS_WHERE_UNLISTED = 8
VILLAGES = "东南西北上下前后"


class County:
    """People and households of some divisions under one exchange platform.

    `today` moves on as streams are drawn from it; `truth` is complete when those streams are drawn to
    their end.
    """

    def __init__(self, divisions: Sequence[str], today: date, numbers: Numbers | None = None) -> None:
        if not divisions:
            raise ValueError("a county needs at least one division")
        unknown = [code for code in divisions if not areas.known(code, today)]
        if unknown:
            raise ValueError(f"no divisions in force on {today}: {', '.join(unknown)}")
        self.divisions = tuple(divisions)
        self.loaded_on = self.today = today
        self.numbers = numbers or Numbers()
        self.people: list[Person] = []
        self.households: list[Household] = []
        # What the initial load said where it was wrong, by serial; the histories hold what is true.
        self.misread_homes: dict[int, Home] = {}
        self.misread_certificates: dict[int, tuple[date, Disability]] = {}
        self.last_loaded = -1
        self.scribe = Scribe(_city(divisions[0]))
        self.scribe_beside = Scribe(_city(divisions[0]), "b")
        self.places = {code: _places(code) for code in self.divisions}

    def place(self, rng: Random, division: str) -> tuple[str, str]:
        """A town code and a synthetic address in a division."""
        places = self.places.get(division)
        if places is None:
            places = self.places[division] = _places(division)
        code, prefix = places[int(rng.random() * len(places))]
        village = VILLAGES[int(rng.random() * 8)]
        return code, f"{prefix}{village}合成村{int(rng.random() * 400) + 1}号"

    def next_serial(self) -> int:
        return self.people[-1].serial + 1

    def initial_load(self) -> Iterator[Event]:
        """What the registers hold on the day of the load, person by person, a household with its head."""
        load = calendar.start_of_day(self.loaded_on).astimezone(calendar.SHANGHAI) - timedelta(hours=16)
        for person in self.people:
            if person.serial > self.last_loaded:  # came later, by a stream
                break
            time = load + timedelta(seconds=person.serial % 50_000)
            for kind, day, value in self._held(person):
                yield self.scribe.first(person, kind, day, value, time)[1]

    def _held(self, person: Person) -> Iterator[tuple[str, date, Event]]:
        """The facts of the initial load: first steps that are old enough, with the errors they had then."""
        limit = self.loaded_on - OLD_ENOUGH
        since, hukou = person.hukou[0]
        yield "registration", since, say.registration_value(person, hukou)
        since, home = person.home[0]
        yield "residence", since, say.residence_value(self.misread_homes.get(person.serial, home))
        if (steps := person.disability) and steps[0][0] <= limit:
            since, disability = self.misread_certificates.get(person.serial) or steps[0]
            if disability:
                yield "disability", since, say.disability_value(person, disability)
        if (own := person.income) and own[0][0] <= limit and own[0][1]:
            yield "low_income", own[0][0], say.income_value(own[0][1])
        if (tags := person.tags) and tags[0][0] <= limit:
            yield "living_situation", tags[0][0], say.living_value(tags[0][1], tags[0][0])
        if (special := person.special) and special[0][0] <= limit:
            yield "special_family", special[0][0], {"only_child": special[0][1]}
        for household in person.households:
            if household.head is person and household.members[0][0] <= limit:
                since, members = household.members[0]
                yield "household", since, say.household_value(household, members)
                if (income := household.income) and income[0][0] <= limit and income[0][1]:
                    yield "low_income", income[0][0], say.income_value(income[0][1], household)

    def truth(self, on: date) -> dict[str, Truth]:
        """What is true of everybody on a day, by ID number, once all events drawn so far are delivered."""
        return {person.number: truth_of(person, on) for person in self.people}


def _city(division: str) -> str:
    above = [code for code in (division, *areas.ancestors(division)) if code.endswith("00") and len(code) == 6]
    return above[0]


def _places(division: str) -> tuple[tuple[str, str], ...]:
    """Towns with the address that leads to them; where towns are not listed, numbered ones."""
    name = areas.name(division) or ""
    if len(division) > 6:
        return ((division, name),)
    listed = areas.children(division)
    if listed:
        return tuple((code, f"{name}{areas.name(code)}") for code in listed)
    return tuple((f"{division}{n:03d}", f"{name}第{n}街道") for n in range(1, TOWNS_WHERE_UNLISTED + 1))
