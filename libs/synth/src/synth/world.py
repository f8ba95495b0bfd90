"""The world as it is: what is true of each person, kept by the simulation itself.

Nothing here is folded from events. The simulation writes down what happens; what sources report of it,
rightly, wrongly, late or twice, is made elsewhere. So what a platform concludes from the events can be
held against it.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, TypeVar

T = TypeVar("T")
# What held from a day on; None as value: no longer. Days rise.
Steps = tuple[tuple[date, T], ...]
ALWAYS = date.min


def at(steps: Steps[T], on: date) -> T | None:
    """What held on a day, None before the first step."""
    for day, value in reversed(steps):
        if day <= on:
            return value
    return None


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


class DeathNews(NamedTuple):
    """One source's word that somebody died, unless it was taken back."""

    day: date
    evidence: str


@dataclass(slots=True, eq=False)
class Household:
    """A household of the low-income register. `members` are ID numbers, the head among them."""

    number: str
    head: "Person"
    members: Steps[tuple[str, ...]] = ()
    income: Steps[Income | None] = ()
    reported: bool = False
    settled: date = ALWAYS


@dataclass(slots=True, eq=False)
class Person:
    """One elder. `chains`: per kind the event ids of the statement chain that is open; `settled`: per
    kind the day up to which everything is decided and reported, so that the next change comes after it in
    every respect."""

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
    deaths: tuple[DeathNews, ...] = ()
    seen_alive: tuple[date, ...] = ()
    died_really: date | None = None
    spouse: "Person | None" = None
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settled: dict[str, date] = field(default_factory=dict)

    def lives(self, on: date) -> bool:
        return self.died_really is None or on < self.died_really


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one person on a day, as far as sources have said it by the end.

    `died_on`: day of a confirmed death that is not after that day. `suspected`: the person was reported
    dead, nothing confirms it and nothing shows them alive since. `low_income` is direct or
    (`via_household`) the household's. `tags` is None where nobody ever looked.
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


def confirmed_death(deaths: tuple[DeathNews, ...]) -> date | None:
    """The register confirms alone, cremation and medical certificate confirm together, a report never."""
    days = {news.evidence: news.day for news in deaths}
    if "register_cancelled" in days:
        return days["register_cancelled"]
    if "cremation" in days and "medical_certificate" in days:
        return min(days["cremation"], days["medical_certificate"])
    return None


def _income(person: Person, on: date) -> tuple[Income | None, bool]:
    own = at(person.income, on)
    if own is not None:
        return own, False
    for household in reversed(person.households):
        if person.number in (at(household.members, on) or ()):
            shared = at(household.income, on)
            if shared is not None:
                return shared, household.head is not person
    return None, False


def truth_of(person: Person, on: date) -> Truth:
    hukou, home = at(person.hukou, on), at(person.home, on)
    assert hukou is not None, "a hukou is known from the beginning"
    died = confirmed_death(person.deaths)
    suspects = [news.day for news in person.deaths if not any(seen > news.day for seen in person.seen_alive)]
    income, via = _income(person, on)
    disability, tags = at(person.disability, on), at(person.tags, on)
    return Truth(
        id_number=person.number,
        name=person.name,
        sex=person.sex,
        birth_date=person.birth_date,
        hukou_division=hukou.division,
        hukou_kind=hukou.kind,
        residence_division=home.division if home else None,
        residence_place=home.place if home else None,
        died_on=died if died and died <= on else None,
        suspected=died is None and any(day <= on for day in suspects),
        disability=(disability.class_, disability.level) if disability else None,
        low_income=income.category if income else None,
        support=income.support if income else None,
        via_household=via,
        tags=None if tags is None else frozenset(tags),
        special_family=at(person.special, on),
    )
