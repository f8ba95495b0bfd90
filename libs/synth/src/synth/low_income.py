"""Draw the month's changes of low income: of households, whose members share it, and of persons in their own right."""

from datetime import date
from typing import Final

from synth.cloud_events import Sent, household_value, income_value
from synth.identity import draw
from synth.month import Changes, Month, ending, phantom, report
from synth.population import new_household
from synth.truth import Household, Income, Person, at, present

KIND: Final = "low_income"
OWN: Final = (Income("tekun", "scattered"), Income("gangxing"), Income("bianyuan"), Income("tekun", "concentrated"))
SHARED: Final = (Income("dibao"), Income("dibao"), Income("dibao"), Income("bianyuan"), Income("fanpin"))
TRIES_MAX: Final = 20


def households(month: Month) -> Changes:
    """Yield the events of households that enter the register, change their category, or leave it."""
    for _ in month.occurrences(month.rates.household_income):
        day, chance = month.random_day(), month.rng.random()
        if chance < 0.5:
            yield from _new_household(month, day)
        elif household := _draw_household(month, day):
            yield month.settle(household, KIND, _changed_income(month, household, day, chance < 0.8))


def _changed_income(month: Month, household: Household, day: date, may_end: bool) -> list[Sent]:
    """Draw a category for the household or, with `may_end`, end the present one. Return the reports. The category may
    be the present one, and a phantom report changes nothing."""
    new = month.rng.choice(SHARED)
    if present(household.income) and may_end:
        household.set_income(day, None)
        return ending(month, household.head, KIND, day)
    value = income_value(new, household)
    if month.is_phantom():
        return phantom(month, household.head, KIND, day, value)
    household.set_income(day, new)
    return _reported_income(month, household, day, new)


def _reported_income(month: Month, household: Household, day: date, income: Income) -> list[Sent]:
    right, wrong = income_value(income, household), income_value(Income("gangxing"), household)
    return report(month, household.head, KIND, day, right, wrong)


def _reported_members(month: Month, household: Household, day: date, members: tuple[str, ...]) -> list[Sent]:
    right, wrong = household_value(household, members), household_value(household, members[:1])
    return report(month, household.head, "household", day, right, wrong)


def _new_household(month: Month, day: date) -> Changes:
    """Let a couple or a single person enter the register. Yield the reports of household and income separately."""
    person = month.draw_person(KIND, day, lambda p: all(_is_free(one, day) for one in _couple(p)))
    if person is None:
        return
    household = new_household(month.county, _couple(person), day)
    income = month.rng.choice(SHARED)
    household.income = ((day, income),)
    first = _reported_members(month, household, day, household.members[0][1])
    second = _reported_income(month, household, day, income)
    month.settle(household, KIND, first + second)
    yield first
    yield second


def _is_free(person: Person, day: date) -> bool:
    """Whether a person can enter the register with a new household."""
    return person.lives(day) and not person.households and not person.income


def _couple(person: Person) -> list[Person]:
    return [person, person.spouse] if person.spouse else [person]


def _draw_household(month: Month, day: date) -> Household | None:
    found = month.county.households
    for _ in range(TRIES_MAX if found else 0):
        household = draw(month.rng, found)
        if household.settled < day and month.may_change(household.head, KIND, day):
            return household
    return None


def members(month: Month) -> Changes:
    """Yield the reports of a household's members: a person without spouse and household joins, or the last member
    leaves. The head never leaves."""
    for _ in month.occurrences(month.rates.household_member):
        day = month.random_day()
        household = _draw_household(month, day)
        if household and month.may_change(household.head, "household", day):
            yield from _changed_members(month, household, day)


def _changed_members(month: Month, household: Household, day: date) -> Changes:
    new = _new_members(month, household, day)
    if new:
        household.set_members(day, new)
        yield month.settle(household, "household", _reported_members(month, household, day, new))


def _new_members(month: Month, household: Household, day: date) -> tuple[str, ...] | None:
    """Return the members after a random change. A person who joins gets the household. None: nobody leaves, and no
    person was found who may join."""
    now = at(household.members, day) or ()
    joining = month.draw_person("household", day, _may_join)
    if len(now) > 1 and month.rng.random() < 0.4:
        return now[:-1]
    if joining is None:
        return None
    joining.households = (household,)
    return (*now, joining.number)


def _may_join(person: Person) -> bool:
    return not person.households and not person.spouse


def own_income(month: Month) -> Changes:
    """Yield the reports of income support that begins or ends for one person alone. Heads of households have none."""
    for _ in month.occurrences(month.rates.own_income):
        day, ends = month.random_day(), month.rng.random() < 0.4
        person = month.draw_person(KIND, day, _supported if ends else _unsupported)
        if person is not None:
            yield _ended_income(month, person, day) if ends else _new_income(month, person, day)


def _ended_income(month: Month, person: Person, day: date) -> list[Sent]:
    person.set_income(day, None)
    return ending(month, person, KIND, day)


def _new_income(month: Month, person: Person, day: date) -> list[Sent]:
    new, other = month.rng.choice(OWN), month.rng.choice(OWN)
    if month.is_phantom():
        return phantom(month, person, KIND, day, income_value(new))
    person.set_income(day, new)
    return report(month, person, KIND, day, income_value(new), income_value(other))


def _supported(person: Person) -> bool:
    return present(person.income) is not None and not person.heads()


def _unsupported(person: Person) -> bool:
    return present(person.income) is None and not person.heads()
