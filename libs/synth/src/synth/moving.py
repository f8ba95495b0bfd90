"""Moves of home and of hukou, people who come new, and register errors of long ago that come to light."""

from datetime import date, timedelta
from random import Random

from synth import scribe as say
from synth.county import OLD_ENOUGH, County
from synth.founding import draw_disability, new_person
from synth.month import Change, Month, phantom, report
from synth.world import ALWAYS, Home, Person

FAR = ("110105", "140702", "140902", "141102", "530302", "530303", "530381")


def draw_home(county: County, rng: Random, person: Person) -> Home:
    """Another home: mostly in the same county, often in another of these counties, sometimes far away."""
    chance, here = rng.random(), person.home[-1][1].division[:6]
    if chance < 0.5 and here in county.places:
        division = here
    elif chance < 0.85:
        division = rng.choice(county.divisions)
    else:
        division = rng.choice(FAR)
    place = "institution" if rng.random() < 0.12 else "elsewhere" if rng.random() < 0.03 else "home"
    town, address = county.place(rng, division)
    return Home(town, place, address)


def homes(month: Month) -> Change:
    for _ in month.often(month.rates.home):
        day = month.some_day()
        if not (person := month.someone("residence", day)):
            continue
        home, other = (draw_home(month.county, month.rng, person) for _ in range(2))
        if month.rng.random() * 1000 < month.rates.phantom:
            yield phantom(month, person, "residence", day, say.residence_value(home))
            continue
        person.home = (*person.home, (day, home))
        yield report(month, person, "residence", day, say.residence_value(home), say.residence_value(other))


def hukou(month: Month) -> Change:
    """A hukou goes to another county; every second time the home goes with it."""
    for _ in month.often(month.rates.hukou):
        day = month.some_day()
        if not (person := month.someone("registration", day)):
            continue
        division = month.rng.choice((*month.county.divisions, month.rng.choice(FAR)))
        town, address = month.county.place(month.rng, division)
        old = person.hukou[-1][1]
        new = old._replace(division=town)
        wrong = new._replace(kind="rural" if new.kind == "urban" else "urban")
        person.hukou = (*person.hukou, (day, new))
        right_value = say.registration_value(person, new)
        yield report(month, person, "registration", day, right_value, say.registration_value(person, wrong))
        if month.rng.random() < 0.5 and month.open_to(person, "residence", day):
            home = Home(town, "home", address)
            person.home = (*person.home, (day, home))
            value = say.residence_value(home)
            yield report(month, person, "residence", day, value, value | {"place": "elsewhere"})


def newcomers(month: Month) -> Change:
    """People nobody has heard of: they have moved in, and this is the first that the registers say."""
    county, rng = month.county, month.rng
    for _ in month.often(month.rates.newcomer):
        day = month.some_day()
        person = new_person(county, rng, county.next_serial(), month.start)
        person.disability = ()
        person.home = ((day, person.home[0][1]),)
        county.people.append(person)
        value = say.registration_value(person, person.hukou[0][1])
        sent = [month.scribe.created(person, "registration", ALWAYS, value, month.told(day))]
        yield month.settle(person, "registration", sent)
        home = say.residence_value(person.home[0][1])
        yield report(month, person, "residence", day, home, home | {"place": "elsewhere"})
        # Whoever is not settled is open to everything, so that nobody changes before he comes.
        for kind in say.OFFICES:
            person.settled[kind] = max(person.settled.get(kind, day), day)


def old_errors(month: Month) -> Change:
    """The initial load was wrong about somebody: another home, another class or day of a certificate."""
    county = month.county
    for _ in month.often(month.rates.old_error):
        day = month.some_day()
        if month.rng.random() < 0.5:
            person = month.someone("residence", day, lambda p: _as_loaded(county, p, "residence"))
            if person:
                since, home = person.home[0]
                right = draw_home(county, month.rng, person)
                time = month.told(day)
                sent = month.scribe.corrected(person, "residence", since, say.residence_value(right), time)
                county.misread_homes[person.serial] = home
                person.home = ((since, right),)
                yield month.settle(person, "residence", [sent])
        else:
            person = month.someone("disability", day, lambda p: _as_loaded(county, p, "disability"))
            if person:
                yield from _old_certificate(month, person, day)


def _as_loaded(county: County, person: Person, kind: str) -> bool:
    """Whether all that was ever said of this kind is one fact of the initial load."""
    steps = person.home if kind == "residence" else person.disability
    since = steps[0][0] if steps else county.today
    loaded = person.serial <= county.last_loaded and since <= county.loaded_on - OLD_ENOUGH
    return loaded and len(steps) == 1 and kind not in person.chains


def _old_certificate(month: Month, person: Person, day: date) -> Change:
    since, disability = person.disability[0]
    right = draw_disability(month.rng)
    earlier = since - timedelta(days=int(month.rng.random() * 200))
    value = say.disability_value(person, right)
    sent = month.scribe.corrected(person, "disability", earlier, value, month.told(day))
    assert disability is not None, "an initial certificate has its class and level"
    month.county.misread_certificates[person.serial] = (since, disability)
    person.disability = ((earlier, right),)
    yield month.settle(person, "disability", [sent])
