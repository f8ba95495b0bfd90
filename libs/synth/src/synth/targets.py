"""Changes for measuring: each valid, new and in sequence, so that a figure measures work and not waiting."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from common import calendar

from synth import scribe as say
from synth.county import OLD_ENOUGH, County
from synth.founding import draw_disability, draw_tags
from synth.moving import draw_home
from synth.scribe import DEATH_OFFICES, Event, Sent
from synth.world import DeathNews, Income, Person

CATEGORIES = ("dibao", "bianyuan", "gangxing", "fanpin")
# residence, low income, disability, living situation; cumulated shares
MIX = (0.3, 0.6, 0.8)


class _Subject:
    """One person of the measurement, whose next change is a day later than the last."""

    def __init__(self, person: Person, first_day: int) -> None:
        self.person, self.turn = person, first_day


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

    The county must be as loaded (no stream drawn from it before). `deaths_every`: every so many events
    one is a death that confirms alone; its person gets no more. `recorded_from`: `time` of the first
    event, each next one a millisecond later; without it the morning of the load. `County.truth` holds
    afterwards. Raises ValueError when the county has too few people, or a person would get more changes
    than there are days.
    """
    if people > len(county.people) or n > people * (OLD_ENOUGH.days - 2):
        raise ValueError("too many changes for so few people")
    rng = Random(f"targets/{seed}")
    subjects = [_Subject(person, 0) for person in rng.sample(county.people, people)]
    time = recorded_from or calendar.start_of_day(county.today).astimezone(calendar.SHANGHAI)
    made = 0
    while made < n:
        for subject in subjects:
            if made == n:
                return
            if subject.person.died_really:
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
        person.home = (*person.home, (day, home))
        return county.scribe.created(person, "residence", day, say.residence_value(home), time)
    if chance < MIX[1]:
        return _income(county, rng, person, day, time)
    if chance < MIX[2]:
        disability = draw_disability(rng)
        person.disability = (*person.disability, (day, disability))
        value = say.disability_value(person, disability)
        return county.scribe.created(person, "disability", day, value, time)
    tags = draw_tags(rng, person)
    person.tags = (*person.tags, (day, tags))
    return county.scribe.created(person, "living_situation", day, say.living_value(tags, day), time)


def _income(county: County, rng: Random, person: Person, day: date, time: datetime) -> Sent:
    """Low income on the person's own account begins, or ends where it holds; a head's is the household's."""
    household = next((h for h in person.households if h.head is person), None)
    steps = household.income if household else person.income
    if steps and steps[-1][1]:
        new = None
        sent = county.scribe.ended(person, "low_income", day, time)
    else:
        new = Income(rng.choice(CATEGORIES))
        value = say.income_value(new, household)
        sent = county.scribe.created(person, "low_income", day, value, time)
    if household:
        household.income = (*household.income, (day, new))
    else:
        person.income = (*person.income, (day, new))
    return sent


def _death(county: County, rng: Random, subject: _Subject, time: datetime) -> Sent:
    subject.turn += 1
    person, evidence = subject.person, "register_cancelled"
    day = county.loaded_on - timedelta(days=int(rng.random() * 2))
    person.died_really = day
    person.deaths = (DeathNews(day, evidence),)
    value = {"evidence": evidence}
    return county.scribe.created(person, "death", day, value, time, DEATH_OFFICES[evidence])
