"""Draw the month's moves of home and hukou, newcomers, and corrections of old errors in the registers."""

from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from synth.cloud_events import (
    OFFICES,
    Event,
    Sent,
    disability_value,
    first_disability,
    registration_value,
    residence_value,
)
from synth.county import OLD_ENOUGH, County
from synth.month import Changes, Month, phantom, report
from synth.population import draw_disability, new_person
from synth.truth import ALWAYS, Home, Person, Steps, T

FAR: Final = ("110105", "140702", "140902", "141102", "530302", "530303", "530381")


def draw_home(county: County, rng: Random, person: Person) -> Home:
    """Return a new home: half of the time in the same county, often in a division of the data, sometimes far away."""
    division = _draw_division(county, rng, person)
    place = _draw_place(rng)
    town, address = county.place(rng, division)
    return Home(town, place, address)


def _draw_place(rng: Random) -> str:
    if rng.random() < 0.12:
        return "institution"
    return "elsewhere" if rng.random() < 0.03 else "home"


def _draw_division(county: County, rng: Random, person: Person) -> str:
    chance, here = rng.random(), person.home[-1][1].division[:6]
    if chance < 0.5 and here in county.places:
        return here
    return rng.choice(county.divisions) if chance < 0.85 else rng.choice(FAR)


def homes(month: Month) -> Changes:
    for person, day in month.draw_people(month.rates.home, "residence"):
        home, other = (draw_home(month.county, month.rng, person) for _ in range(2))
        if month.is_phantom():
            yield phantom(month, person, "residence", day, residence_value(home))
        else:
            person.set_home(day, home)
            yield report(month, person, "residence", day, residence_value(home), residence_value(other))


def hukou(month: Month) -> Changes:
    """Yield the events of a hukou that moves to a random town and, half of the time, of the home that moves too."""
    for person, day in month.draw_people(month.rates.hukou, "registration"):
        division = month.rng.choice((*month.county.divisions, month.rng.choice(FAR)))
        town, address = month.county.place(month.rng, division)
        yield _new_hukou(month, person, day, town)
        if month.rng.random() < 0.5 and month.may_change(person, "residence", day):
            home = Home(town, "home", address)
            person.set_home(day, home)
            yield _reported_home(month, person, day, home)


def _new_hukou(month: Month, person: Person, day: date, town: str) -> list[Sent]:
    """Move the hukou to a town, and return the reports. A wrong report has the other kind of hukou,
    or a later first day."""
    new = person.hukou[-1][1]._replace(division=town)
    wrong = new._replace(kind="rural" if new.kind == "urban" else "urban")
    person.set_hukou(day, new)
    right_value, wrong_value = registration_value(person, new), registration_value(person, wrong)
    return report(month, person, "registration", day, right_value, wrong_value)


def _reported_home(month: Month, person: Person, day: date, home: Home) -> list[Sent]:
    """Return the reports of a home. A wrong report has the place `elsewhere`, or a later first day."""
    value = residence_value(home)
    return report(month, person, "residence", day, value, value | {"place": "elsewhere"})


def newcomers(month: Month) -> Changes:
    """Yield the first facts about unknown people who have moved into the county."""
    for _ in month.occurrences(month.rates.newcomer):
        day = month.random_day()
        person = _arriving(month, day)
        yield _registration(month, person, day)
        yield _reported_home(month, person, day, person.home[0][1])
        # no kind may change before the person arrives
        for kind in OFFICES:
            person.settled[kind] = max(person.settled.get(kind, day), day)


def _arriving(month: Month, day: date) -> Person:
    """Add a new person to the county, with a home from this day on, and return the person."""
    county = month.county
    person = new_person(county, month.rng, county.next_serial(), month.start)
    person.disability = ()
    person.home = ((day, person.home[0][1]),)
    county.people.append(person)
    return person


def _registration(month: Month, person: Person, day: date) -> list[Sent]:
    """Return the first registration of a newcomer. The hukou itself has no first day."""
    value = registration_value(person, person.hukou[0][1])
    sent = [month.writer.created(person, "registration", ALWAYS, value, month.report_time(day))]
    return month.settle(person, "registration", sent)


def old_errors(month: Month) -> Changes:
    """Yield corrections of the initial load: another home, or other class, level and day of a certificate."""
    for _ in month.occurrences(month.rates.old_error):
        day = month.random_day()
        if month.rng.random() < 0.5:
            yield from _wrong_home(month, day)
        else:
            yield from _wrong_certificate(month, day)


def _wrong_home(month: Month, day: date) -> Changes:
    county = month.county
    person = month.draw_person("residence", day, lambda p: _as_loaded(county, p, p.home, "residence"))
    if person is not None:
        since, county.wrong_homes[person.serial] = person.home[0]
        right = draw_home(county, month.rng, person)
        person.home = ((since, right),)
        yield _correction(month, person, "residence", since, residence_value(right), month.report_time(day))


def _correction(month: Month, person: Person, kind: str, since: date, value: Event, time: datetime) -> list[Sent]:
    return month.settle(person, kind, [month.writer.corrected(person, kind, since, value, time)])


def _wrong_certificate(month: Month, day: date) -> Changes:
    county = month.county
    person = month.draw_person("disability", day, lambda p: _as_loaded(county, p, p.disability, "disability"))
    if person is not None:
        since, right = person.disability[0][0], draw_disability(month.rng)
        earlier = since - timedelta(days=int(month.rng.random() * 200))
        time = month.report_time(day)
        sent = _correction(month, person, "disability", earlier, disability_value(person, right), time)
        county.wrong_certificates[person.serial] = (since, first_disability(person))
        person.disability = ((earlier, right),)
        yield sent


def _as_loaded(county: County, person: Person, steps: Steps[T], kind: str) -> bool:
    """Whether the only statement of this kind is one fact of the initial load. `steps`: those of the kind."""
    if len(steps) != 1 or kind in person.chains:
        return False
    return county.was_loaded(person) and steps[0][0] <= county.loaded_on - OLD_ENOUGH
