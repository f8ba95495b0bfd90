"""Draw the people of a county: elders by the age pyramid, couples, low-income households, tags and certificates."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from operator import attrgetter
from random import Random
from typing import Final

from common.calendar import age_on

from synth import demography as demo
from synth.county import OLD_ENOUGH, County
from synth.identity import Numbers, draw, draw_name
from synth.truth import ALWAYS, Disability, Home, Household, Hukou, Income, Person

URBAN_SHARE: Final = 0.38
YEARS_APART_MAX: Final = 6
Family = tuple[Person, ...]


def county(
    seed: int,
    people: int,
    divisions: Sequence[str],
    today: date,
    numbers: Numbers | None = None,
    first_serial: int = 0,
) -> County:
    """Return a county with this number of elders on a day. Most are 60 and older, and almost none is younger than 55.
    Equal arguments give equal counties.

    `divisions`: 6- or 9-digit codes, with the people divided evenly among them. `numbers` and `first_serial`: for a
    county that is made in blocks. A shared `numbers` prevents repeated ID numbers. Raises ValueError for unknown
    divisions.
    """
    made = County(divisions, today, numbers)
    rng = Random(f"county/{seed}")
    for serial in range(first_serial, first_serial + people):
        made.people.append(new_person(made, rng, serial, today))
    made.last_loaded = first_serial + people - 1
    for family in _families(rng, made.people, today):
        _furnish(made, rng, family)
    return made


def new_person(made: County, rng: Random, serial: int, today: date) -> Person:
    """Return a person with hukou and home, and sometimes a disability certificate. The caller adds it to the county."""
    division = made.divisions[serial % len(made.divisions)]
    birth, sex = demo.draw_birth(rng, today, serial)
    hukou, home = _draw_hukou_and_home(made, rng, division, today)
    person = Person(
        serial=serial,
        number=made.numbers.draw(rng, division[:6], birth, sex),
        name=draw_name(rng, sex),
        sex=sex,
        birth_date=birth,
        hukou=((ALWAYS, hukou),),
        home=(home,),
    )
    if _is_disabled(rng, person, today):
        person.disability = ((_long_ago(rng, today, 9), draw_disability(rng)),)
    return person


def _draw_hukou_and_home(made: County, rng: Random, division: str, today: date) -> tuple[Hukou, tuple[date, Home]]:
    """Return a hukou in the division, and a home with its first day: at the hukou, or elsewhere in the county."""
    home = _draw_home(made, rng, division)
    hukou = Hukou(home.division, "urban" if rng.random() < URBAN_SHARE else "rural")
    if rng.random() * 1000 >= demo.HUKOU_ELSEWHERE_PER_1000:
        return hukou, (ALWAYS, home)
    elsewhere = _draw_home(made, rng, draw(rng, made.divisions))
    return hukou, (_long_ago(rng, today, 8), elsewhere)


def _is_disabled(rng: Random, person: Person, today: date) -> bool:
    return rng.random() * 1000 < demo.by_age(demo.DISABLED_PER_1000, age_on(person.birth_date, today))


def _is_married(rng: Random, person: Person, today: date) -> bool:
    return rng.random() * 100 < demo.by_age(demo.MARRIED_PER_100, age_on(person.birth_date, today))


def _draw_home(made: County, rng: Random, division: str) -> Home:
    town, address = made.place(rng, division)
    return Home(town, "home", address)


def draw_disability(rng: Random) -> Disability:
    return Disability(demo.weighted(rng, demo.DISABILITY_CLASSES), demo.weighted(rng, demo.DISABILITY_LEVELS))


def draw_tags(rng: Random, person: Person) -> tuple[str, ...]:
    """Return random living tags. Only a person without a spouse is `alone`, only one with a spouse `empty_nest`."""
    chance = rng.random()
    first = "empty_nest" if person.spouse else "alone"
    if chance < 0.18:
        return ()
    if chance < 0.82:
        return (first,)
    return (first, "left_behind") if chance < 0.93 else ("left_behind",)


def _long_ago(rng: Random, today: date, years_max: int) -> date:
    return today - OLD_ENOUGH - timedelta(days=1 + int(rng.random() * 365 * years_max))


def _families(rng: Random, people: Sequence[Person], today: date) -> list[Family]:
    """Return couples of the same town and about the same age, and every other person as a family of one."""
    families: list[Family] = []
    for town in _by_town(people).values():
        families += _town_families(rng, sorted(town, key=attrgetter("birth_date")), today)
    return families


def _by_town(people: Iterable[Person]) -> dict[str, list[Person]]:
    by_town: defaultdict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_town[person.home[0][1].division].append(person)
    return by_town


def _town_families(rng: Random, town: Iterable[Person], today: date) -> list[Family]:
    """Return the families of one town. `town`: its people in order of birth, so that the last person who waits for a
    partner is the nearest in age."""
    families: list[Family] = []
    waiting: dict[str, list[Person]] = {"1": [], "2": []}
    for person in town:
        families += _matched(person, waiting) if _is_married(rng, person, today) else [(person,)]
    families.extend((person,) for person in (*waiting["1"], *waiting["2"]))
    return families


def _matched(person: Person, waiting: dict[str, list[Person]]) -> list[Family]:
    """Return the couple of the person and a partner from `waiting` (people by sex). Without a partner of about the same
    age, add the person to `waiting`. A partner who is too old is then returned as a family of one."""
    others = waiting["2" if person.sex == "1" else "1"]
    match = others.pop() if others else None
    if match and (person.birth_date - match.birth_date).days <= 365 * YEARS_APART_MAX:
        person.spouse, match.spouse = match, person
        return [(match, person)]
    waiting[person.sex].append(person)
    return [(match,)] if match else []


def _furnish(made: County, rng: Random, family: Family) -> None:
    """Draw low income, living situation and special family of a couple or a single person."""
    if income := _household_income(rng):
        _register(made, rng, family, income)
    elif len(family) == 1 and rng.random() * 1000 < demo.TEKUN_PER_1000_SINGLE:
        _support(made, rng, family[0])
    if rng.random() * 1000 < demo.SPECIAL_FAMILY_PER_1000:
        _mark_special(made, rng, family)
    if rng.random() < (0.5 if len(family) == 1 else 0.4):
        _check_living(made, rng, family)


def _register(made: County, rng: Random, family: Family, income: Income) -> None:
    """Add the family to the register as a household. Its income support begins up to 300 days later."""
    since = _long_ago(rng, made.today, 5)
    household = new_household(made, family, since - timedelta(days=int(rng.random() * 300)))
    household.income = ((since, income),)


def _mark_special(made: County, rng: Random, family: Family) -> None:
    child, since = ("dead" if rng.random() < 0.7 else "disabled"), _long_ago(rng, made.today, 15)
    for person in family:
        person.special = ((since, child),)


def _check_living(made: County, rng: Random, family: Family) -> None:
    checked_on = made.today - OLD_ENOUGH - timedelta(days=1 + int(rng.random() * 250))
    for person in family:
        person.tags = ((checked_on, draw_tags(rng, person)),)


def _household_income(rng: Random) -> Income | None:
    chance = rng.random() * 1000
    for category, per_thousand in demo.LOW_INCOME_HOUSEHOLDS_PER_1000:
        if chance < per_thousand:
            return Income(category)
        chance -= per_thousand
    return None


def _support(made: County, rng: Random, person: Person) -> None:
    """Give a single person the support of `tekun`. Some of these people live in an institution."""
    support = "concentrated" if rng.random() < 0.25 else "scattered"
    person.income = ((_long_ago(rng, made.today, 6), Income("tekun", support)),)
    if support == "concentrated":
        since, home = person.home[0]
        person.home = ((since, home._replace(place="institution")),)


def new_household(made: County, family: Sequence[Person], since: date) -> Household:
    """Add a household with these members to the county, and return it. The first member is its head."""
    number = f"H{made.writer.city}{family[0].serial:09d}"
    household = Household(number, family[0], ((since, tuple(p.number for p in family)),))
    for person in family:
        person.households = (*person.households, household)
    made.households.append(household)
    return household
