"""The true state of each person, kept by the simulation itself.

The true state is never derived from events. The simulation stores each true change here. Other modules make the events,
which may be wrong, late or repeated. So a test can compare the conclusions of a platform with the truth.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, TypeVar

T = TypeVar("T")
# The value from a day on; None: no value from that day. Days ascend.
Steps = tuple[tuple[date, T], ...]
ALWAYS = date.min


def at(steps: Steps[T], on: date) -> T | None:
    """The value on a day; None before the first step."""
    for day, value in reversed(steps):
        if day <= on:
            return value
    return None


def present(steps: Steps[T]) -> T | None:
    """The value after the last step; None without any step."""
    return steps[-1][1] if steps else None


class Hukou(NamedTuple):
    division: str
    kind: str


class Home(NamedTuple):
    division: str
    place: str
    address: str


class Disability(NamedTuple):
    class_: int
    level: int


class Income(NamedTuple):
    category: str
    support: str | None = None


class DeathReport(NamedTuple):
    """A death as one source reports it, unless the source annulled it."""

    day: date
    evidence: str


@dataclass(slots=True, eq=False)
class Household:
    """A household of the low-income register. `members`: ID numbers, the head included."""

    number: str
    head: "Person"
    members: Steps[tuple[str, ...]] = ()
    income: Steps[Income | None] = ()
    settled: date = ALWAYS

    def set_income(self, day: date, income: Income | None) -> None:
        self.income = (*self.income, (day, income))

    def has_member(self, number: str, on: date) -> bool:
        return number in (at(self.members, on) or ())

    def set_members(self, day: date, numbers: tuple[str, ...]) -> None:
        self.members = (*self.members, (day, numbers))


@dataclass(slots=True, eq=False)
class Person:
    """One elder. `chains`: event ids of the *open chain* of each fact kind, the newest statement with its corrections.
    A chain of the initial load is not stored. `settled`: the last day with a change or a report of each fact kind; the
    next change comes after it. `deaths`: the reports that were not annulled."""

    serial: int
    number: str
    name: str
    sex: str
    birth_date: date
    hukou: Steps[Hukou]
    home: Steps[Home]
    disability: Steps[Disability | None] = ()
    income: Steps[Income | None] = ()
    tags: Steps[tuple[str, ...]] = ()
    special: Steps[str | None] = ()
    households: tuple[Household, ...] = ()
    deaths: tuple[DeathReport, ...] = ()
    seen_alive: tuple[date, ...] = ()
    died_on: date | None = None
    spouse: "Person | None" = None
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settled: dict[str, date] = field(default_factory=dict)

    def lives(self, on: date) -> bool:
        return self.died_on is None or on < self.died_on

    def seen_after(self, day: date) -> bool:
        return any(seen > day for seen in self.seen_alive)

    def set_home(self, day: date, home: Home) -> None:
        self.home = (*self.home, (day, home))

    def set_hukou(self, day: date, hukou: Hukou) -> None:
        self.hukou = (*self.hukou, (day, hukou))

    def set_disability(self, day: date, disability: Disability | None) -> None:
        self.disability = (*self.disability, (day, disability))

    def set_income(self, day: date, income: Income | None) -> None:
        self.income = (*self.income, (day, income))

    def set_tags(self, day: date, tags: tuple[str, ...]) -> None:
        self.tags = (*self.tags, (day, tags))

    def heads(self) -> "Household | None":
        """Return the household whose head the person is, or None."""
        return next((household for household in self.households if household.head is self), None)


@dataclass(frozen=True, slots=True)
class Truth:
    """The true facts of one person on a day, as far as sources reported them in the end.

    `died_on`: a confirmed death, not after that day. `suspected`: a death is reported, nothing confirms it, and nothing
    shows the person alive since. `low_income`: of the person or (`via_household`) of the household. `tags`: None if
    nobody ever checked.
    """

    id_number: str
    name: str
    sex: str
    birth_date: date
    hukou_division: str
    hukou_kind: str
    residence_division: str | None
    residence_place: str | None
    died_on: date | None
    suspected: bool
    disability: tuple[int, int] | None
    low_income: str | None
    support: str | None
    via_household: bool
    tags: frozenset[str] | None
    special_family: str | None


def confirmed_death(deaths: tuple[DeathReport, ...]) -> date | None:
    """Return the day of a confirmed death, or None. The register confirms a death alone; cremation and medical
    certificate confirm it together; the evidence `reported` never does."""
    days = {report.evidence: report.day for report in deaths}
    if "register_cancelled" in days:
        return days["register_cancelled"]
    if "cremation" in days and "medical_certificate" in days:
        return min(days["cremation"], days["medical_certificate"])
    return None


def _income(person: Person, on: date) -> tuple[Income | None, bool]:
    """Return the income support on a day, and whether it comes through the head of a household."""
    own = at(person.income, on)
    return (own, False) if own is not None else _shared_income(person, on)


def _shared_income(person: Person, on: date) -> tuple[Income | None, bool]:
    """Return the income support of the person's household on a day, and whether another person is its head. Of several
    households, the newest with support counts."""
    for household in reversed(person.households):
        shared = at(household.income, on) if household.has_member(person.number, on) else None
        if shared is not None:
            return shared, household.head is not person
    return None, False


def _suspected(person: Person, on: date) -> bool:
    """Whether a report states a death on or before `on`, and nobody saw the person alive after the stated day."""
    return any(report.day <= on and not person.seen_after(report.day) for report in person.deaths)


def truth_of(person: Person, on: date) -> Truth:
    hukou, home = at(person.hukou, on), at(person.home, on)
    assert hukou is not None, "a hukou is known from the beginning"
    died_on = confirmed_death(person.deaths)
    income, via_household = _income(person, on)
    disability, tags = at(person.disability, on), at(person.tags, on)
    return Truth(
        id_number=person.number,
        name=person.name,
        sex=person.sex,
        birth_date=person.birth_date,
        hukou_division=hukou.division,
        hukou_kind=hukou.kind,
        residence_division=home and home.division,
        residence_place=home and home.place,
        died_on=_up_to(died_on, on),
        suspected=died_on is None and _suspected(person, on),
        disability=disability and (disability.class_, disability.level),
        low_income=income and income.category,
        support=income and income.support,
        via_household=via_household,
        tags=None if tags is None else frozenset(tags),
        special_family=at(person.special, on),
    )


def _up_to(day: date | None, on: date) -> date | None:
    """Return the day; None if it comes after `on`."""
    return None if day is None or day > on else day
