"""Low income: of households, whose members share it, and of single persons."""

from datetime import date
from typing import Final

from synth.cloud_events import Sent, household_value, income_value
from synth.month import Changes, Month, ending, phantom, report
from synth.population import new_household
from synth.truth import Household, Income, Person, at

KIND: Final = "low_income"
OWN: Final = (Income("tekun", "scattered"), Income("gangxing"), Income("bianyuan"), Income("tekun", "concentrated"))
SHARED: Final = (Income("dibao"), Income("dibao"), Income("dibao"), Income("bianyuan"), Income("fanpin"))
TRIES_MAX: Final = 20


def households(month: Month) -> Changes:
    """A household enters the register, changes its category, or leaves it."""
    for _ in month.occurrences(month.rates.household_income):
        day, chance = month.random_day(), month.rng.random()
        if chance < 0.5:
            yield from _new_household(month, day)
        elif household := _draw_household(month, day):
            yield month.settle(household, KIND, _changed_income(month, household, day, chance < 0.8))


def _changed_income(month: Month, household: Household, day: date, may_end: bool) -> list[Sent]:
    """Another category, or the end of the present one."""
    held = household.income and household.income[-1][1]
    new, head = month.rng.choice(SHARED), household.head
    if held and may_end:
        household.set_income(day, None)
        return ending(month, head, KIND, day)
    value = income_value(new, household)
    if month.is_phantom():
        return phantom(month, head, KIND, day, value)
    household.set_income(day, new)
    return report(month, head, KIND, day, value, income_value(Income("gangxing"), household))


def _new_household(month: Month, day: date) -> Changes:
    """A couple or a single person enters the register. Household and income are two separate reports."""

    def free(person: Person) -> bool:
        return not any(p.households or p.income or not p.lives(day) for p in _couple(person))

    person = month.draw_person(KIND, day, free)
    if not person:
        return
    household = new_household(month.county, _couple(person), day)
    income = month.rng.choice(SHARED)
    household.income = ((day, income),)
    members = household.members[0][1]
    right = household_value(household, members)
    first = report(month, person, "household", day, right, household_value(household, members[:1]))
    wrong = income_value(Income("gangxing"), household)
    second = report(month, person, KIND, day, income_value(income, household), wrong)
    month.settle(household, KIND, first + second)
    yield first
    yield second


def _couple(person: Person) -> list[Person]:
    return [person, person.spouse] if person.spouse else [person]


def _draw_household(month: Month, day: date) -> Household | None:
    found = month.county.households
    for _ in range(TRIES_MAX):
        if not found:
            return None
        household = found[int(month.rng.random() * len(found))]
        if household.settled < day and month.may_change(household.head, KIND, day):
            return household
    return None


def members(month: Month) -> Changes:
    """A single person joins a household of the register, or a member other than the head leaves it."""
    for _ in month.occurrences(month.rates.household_member):
        day = month.random_day()
        household = _draw_household(month, day)
        if not household or not month.may_change(household.head, "household", day):
            continue
        new = _new_members(month, household, day)
        if new:
            household.set_members(day, new)
            right, wrong = household_value(household, new), household_value(household, new[:1])
            sent = report(month, household.head, "household", day, right, wrong)
            yield month.settle(household, "household", sent)


def _new_members(month: Month, household: Household, day: date) -> tuple[str, ...] | None:
    """The members after the change; None if no change is possible."""
    now = at(household.members, day) or ()
    joining = month.draw_person("household", day, lambda p: not p.households and not p.spouse)
    if len(now) > 1 and month.rng.random() < 0.4:
        return now[:-1]
    if joining is None:
        return None
    joining.households = (household,)
    return (*now, joining.number)


def own_income(month: Month) -> Changes:
    """The income support of a person, not through a household: it begins, changes or ends."""
    for _ in month.occurrences(month.rates.own_income):
        day, ends = month.random_day(), month.rng.random() < 0.4
        person = month.draw_person(KIND, day, _supported if ends else _unsupported)
        if person is None:
            continue
        if ends:
            person.set_income(day, None)
            yield ending(month, person, KIND, day)
        else:
            yield _new_income(month, person, day)


def _new_income(month: Month, person: Person, day: date) -> list[Sent]:
    new, other = month.rng.choice(OWN), month.rng.choice(OWN)
    if month.is_phantom():
        return phantom(month, person, KIND, day, income_value(new))
    person.set_income(day, new)
    return report(month, person, KIND, day, income_value(new), income_value(other))


def _supported(person: Person) -> bool:
    return bool(person.income and person.income[-1][1]) and not person.heads()


def _unsupported(person: Person) -> bool:
    return not (person.income and person.income[-1][1]) and not person.heads()
