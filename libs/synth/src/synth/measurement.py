"""Changes for measurements: each is valid, new and in sequence, so that a figure measures work and not waiting."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from common import calendar

from synth.cloud_events import (
    DEATH_OFFICES,
    Event,
    Sent,
    disability_value,
    income_value,
    living_value,
    residence_value,
)
from synth.county import OLD_ENOUGH, County
from synth.moves import draw_home
from synth.population import draw_disability, draw_tags
from synth.truth import DeathReport, Income, Person

CATEGORIES: Final = ("dibao", "bianyuan", "gangxing", "fanpin")
# cumulated shares of residence, low income and disability; the rest is living situation
MIX: Final = (0.3, 0.6, 0.8)


@dataclass(slots=True)
class _Subject:
    """A person of the measurement. Each change is a day later than the one before; `turn` counts them."""

    person: Person
    turn: int = 0


def changes(
    county: County,
    n: int,
    people: int,
    seed: int,
    *,
    deaths_every: int = 0,
    recorded_from: datetime | None = None,
) -> Iterator[Event]:
    """Draw `n` events about `people` people of the initial load, one person after the other, round by round.

    No stream may have been drawn from the county before. `deaths_every`: every so many events one is a death that
    confirms alone; its person gets no further event. `recorded_from`: `time` of the first event (default: the morning
    of the load); each next one is a millisecond later. Afterwards `County.truth` includes the changes. Raises
    ValueError if the county has too few people, or a person would get more changes than there are days.
    """
    if people > len(county.people) or n > people * (OLD_ENOUGH.days - 2):
        raise ValueError("too many changes for so few people")
    rng = Random(f"targets/{seed}")
    subjects = [_Subject(person) for person in rng.sample(county.people, people)]
    time = recorded_from or calendar.start_of_day(county.today).astimezone(calendar.SHANGHAI)
    made = 0
    while made < n:
        for subject in subjects:
            if made == n:
                return
            if subject.person.died_on:
                continue
            made += 1
            time += timedelta(milliseconds=1)
            dies = deaths_every and made % deaths_every == 0
            yield (_death if dies else _change)(county, rng, subject, time)[1]


def _change(county: County, rng: Random, subject: _Subject, time: datetime) -> Sent:
    subject.turn += 1
    person, chance = subject.person, rng.random()
    day = county.loaded_on - OLD_ENOUGH + timedelta(days=1 + subject.turn)
    if chance < MIX[0]:
        home = draw_home(county, rng, person)
        person.set_home(day, home)
        return county.writer.created(person, "residence", day, residence_value(home), time)
    if chance < MIX[1]:
        return _income(county, rng, person, day, time)
    if chance < MIX[2]:
        disability = draw_disability(rng)
        person.set_disability(day, disability)
        return county.writer.created(person, "disability", day, disability_value(person, disability), time)
    tags = draw_tags(rng, person)
    person.set_tags(day, tags)
    return county.writer.created(person, "living_situation", day, living_value(tags, day), time)


def _income(county: County, rng: Random, person: Person, day: date, time: datetime) -> Sent:
    """Low income begins, or ends if it exists: of the household for its head, otherwise of the person."""
    household = person.heads()
    subject = household or person
    new = None
    if subject.income and subject.income[-1][1]:
        sent = county.writer.ended(person, "low_income", day, time)
    else:
        new = Income(rng.choice(CATEGORIES))
        sent = county.writer.created(person, "low_income", day, income_value(new, household), time)
    subject.set_income(day, new)
    return sent


def _death(county: County, rng: Random, subject: _Subject, time: datetime) -> Sent:
    subject.turn += 1
    person, evidence = subject.person, "register_cancelled"
    day = county.loaded_on - timedelta(days=int(rng.random() * 2))
    person.died_on = day
    person.deaths = (DeathReport(day, evidence),)
    return county.writer.created(person, "death", day, {"evidence": evidence}, time, DEATH_OFFICES[evidence])
