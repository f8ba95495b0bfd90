"""Low income: households that come in and go out and take their members along, and people on their own
account.
"""

from datetime import date

from synth import scribe as say
from synth.founding import new_household
from synth.month import Change, Month, ending, phantom, report
from synth.world import Household, Income, Person, at

OWN = (Income("tekun", "scattered"), Income("gangxing"), Income("bianyuan"), Income("tekun", "concentrated"))
SHARED = (Income("dibao"), Income("dibao"), Income("dibao"), Income("bianyuan"), Income("fanpin"))


def _heads(person: Person) -> bool:
    return any(household.head is person for household in person.households)


def households(month: Month) -> Change:
    """A household is found to be poor, falls into another category, or leaves the register."""
    for _ in month.often(month.rates.household_income):
        day, chance = month.some_day(), month.rng.random()
        if chance < 0.5:
            if found := _found_household(month, day):
                yield from found
            continue
        household = _some_household(month, day)
        if not household:
            continue
        held, new = household.income and household.income[-1][1], month.rng.choice(SHARED)
        head = household.head
        if held and chance < 0.8:
            household.income = (*household.income, (day, None))
            sent = ending(month, head, "low_income", day)
        elif month.rng.random() * 1000 < month.rates.phantom:
            sent = phantom(month, head, "low_income", day, say.income_value(new, household))
        else:
            household.income = (*household.income, (day, new))
            wrong = say.income_value(Income("gangxing"), household)
            sent = report(month, head, "low_income", day, say.income_value(new, household), wrong)
        yield month.settle(household, "low_income", sent)


def _found_household(month: Month, day: date) -> list[list[say.Sent]]:
    """A couple or a single person enters the register: the household and its category are told apart."""

    def free(person: Person) -> bool:
        both = [person, *([person.spouse] if person.spouse else [])]
        return not any(p.households or p.income or not p.lives(day) for p in both)

    person = month.someone("low_income", day, free)
    if not person:
        return []
    family = [person, *([person.spouse] if person.spouse else [])]
    household = new_household(month.county, family, day)
    new = month.rng.choice(SHARED)
    household.income = ((day, new),)
    members = household.members[0][1]
    right = say.household_value(household, members)
    first = report(month, person, "household", day, right, say.household_value(household, members[:1]))
    wrong = say.income_value(Income("gangxing"), household)
    second = report(month, person, "low_income", day, say.income_value(new, household), wrong)
    month.settle(household, "low_income", first + second)
    return [first, second]


def _some_household(month: Month, day: date) -> Household | None:
    found = month.county.households
    for _ in range(20):
        if not found:
            return None
        household = found[int(month.rng.random() * len(found))]
        if household.settled < day and month.open_to(household.head, "low_income", day):
            return household
    return None


def members(month: Month) -> Change:
    """A single person joins a household of the register, or somebody but the head leaves it."""
    for _ in month.often(month.rates.household_member):
        day = month.some_day()
        household = _some_household(month, day)
        if not household or not month.open_to(household.head, "household", day):
            continue
        now = at(household.members, day) or ()
        joins = month.someone("household", day, lambda p: not p.households and not p.spouse)
        if len(now) > 1 and month.rng.random() < 0.4:
            new = now[:-1]
        elif joins:
            joins.households = (household,)
            new = (*now, joins.number)
        else:
            continue
        household.members = (*household.members, (day, new))
        right, wrong = say.household_value(household, new), say.household_value(household, new[:1])
        sent = report(month, household.head, "household", day, right, wrong)
        yield month.settle(household, "household", sent)


def own_income(month: Month) -> Change:
    """People supported for themselves, not through a household: it begins, changes or ends."""
    for _ in month.often(month.rates.own_income):
        day, chance = month.some_day(), month.rng.random()
        held = chance < 0.4
        person = month.someone("low_income", day, _supported if held else _unsupported)
        if not person:
            continue
        if held:
            person.income = (*person.income, (day, None))
            yield ending(month, person, "low_income", day)
            continue
        new, other = month.rng.choice(OWN), month.rng.choice(OWN)
        if month.rng.random() * 1000 < month.rates.phantom:
            yield phantom(month, person, "low_income", day, say.income_value(new))
            continue
        person.income = (*person.income, (day, new))
        yield report(month, person, "low_income", day, say.income_value(new), say.income_value(other))


def _supported(person: Person) -> bool:
    return bool(person.income and person.income[-1][1]) and not _heads(person)


def _unsupported(person: Person) -> bool:
    return not (person.income and person.income[-1][1]) and not _heads(person)
