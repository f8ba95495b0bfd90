"""Moves of home and hukou, newcomers, and old register errors that are corrected."""

from datetime import date, timedelta
from random import Random
from typing import Final

from synth.cloud_events import OFFICES, disability_value, registration_value, residence_value
from synth.county import OLD_ENOUGH, County
from synth.month import Changes, Month, phantom, report
from synth.population import draw_disability, new_person
from synth.truth import ALWAYS, Home, Person

FAR: Final = ("110105", "140702", "140902", "141102", "530302", "530303", "530381")


def draw_home(county: County, rng: Random, person: Person) -> Home:
    """A new home: mostly in the same county, often in another division of the data, sometimes far away."""
    division = _draw_division(county, rng, person)
    place = "institution" if rng.random() < 0.12 else "elsewhere" if rng.random() < 0.03 else "home"
    town, address = county.place(rng, division)
    return Home(town, place, address)


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
            continue
        person.set_home(day, home)
        yield report(month, person, "residence", day, residence_value(home), residence_value(other))


def hukou(month: Month) -> Changes:
    """A hukou moves to another county, and half of the time the home too."""
    for person, day in month.draw_people(month.rates.hukou, "registration"):
        division = month.rng.choice((*month.county.divisions, month.rng.choice(FAR)))
        town, address = month.county.place(month.rng, division)
        new = person.hukou[-1][1]._replace(division=town)
        wrong = new._replace(kind="rural" if new.kind == "urban" else "urban")
        person.set_hukou(day, new)
        right_value, wrong_value = registration_value(person, new), registration_value(person, wrong)
        yield report(month, person, "registration", day, right_value, wrong_value)
        if month.rng.random() < 0.5 and month.may_change(person, "residence", day):
            yield from _new_home(month, person, day, Home(town, "home", address))


def _new_home(month: Month, person: Person, day: date, home: Home) -> Changes:
    person.set_home(day, home)
    value = residence_value(home)
    yield report(month, person, "residence", day, value, value | {"place": "elsewhere"})


def newcomers(month: Month) -> Changes:
    """Unknown people who moved in; these are the first facts about them."""
    county, rng = month.county, month.rng
    for _ in month.occurrences(month.rates.newcomer):
        day = month.random_day()
        person = new_person(county, rng, county.next_serial(), month.start)
        person.disability = ()
        person.home = ((day, person.home[0][1]),)
        county.people.append(person)
        value = registration_value(person, person.hukou[0][1])
        sent = [month.writer.created(person, "registration", ALWAYS, value, month.report_time(day))]
        yield month.settle(person, "registration", sent)
        home = residence_value(person.home[0][1])
        yield report(month, person, "residence", day, home, home | {"place": "elsewhere"})
        # no kind may change before the person arrives
        for kind in OFFICES:
            person.settled[kind] = max(person.settled.get(kind, day), day)


def old_errors(month: Month) -> Changes:
    """A correction of the initial load: another home, or another class or day of a certificate."""
    for _ in month.occurrences(month.rates.old_error):
        day = month.random_day()
        if month.rng.random() < 0.5:
            yield from _wrong_home(month, day)
        else:
            yield from _wrong_certificate(month, day)


def _wrong_home(month: Month, day: date) -> Changes:
    county = month.county
    person = month.draw_person("residence", day, lambda p: _as_loaded(county, p, "residence"))
    if person is None:
        return
    since, home = person.home[0]
    right = draw_home(county, month.rng, person)
    time = month.report_time(day)
    sent = month.writer.corrected(person, "residence", since, residence_value(right), time)
    county.wrong_homes[person.serial] = home
    person.home = ((since, right),)
    yield month.settle(person, "residence", [sent])


def _wrong_certificate(month: Month, day: date) -> Changes:
    county = month.county
    person = month.draw_person("disability", day, lambda p: _as_loaded(county, p, "disability"))
    if person is None:
        return
    since, disability = person.disability[0]
    assert disability is not None, "an initial certificate has its class and level"
    right = draw_disability(month.rng)
    earlier = since - timedelta(days=int(month.rng.random() * 200))
    value = disability_value(person, right)
    sent = month.writer.corrected(person, "disability", earlier, value, month.report_time(day))
    county.wrong_certificates[person.serial] = (since, disability)
    person.disability = ((earlier, right),)
    yield month.settle(person, "disability", [sent])


def _as_loaded(county: County, person: Person, kind: str) -> bool:
    """Whether the only statement of this kind is one fact of the initial load."""
    steps = person.home if kind == "residence" else person.disability
    since = steps[0][0] if steps else county.today
    loaded = person.serial <= county.last_loaded and since <= county.loaded_on - OLD_ENOUGH
    return loaded and len(steps) == 1 and kind not in person.chains
