"""Draw changes for measurements. Each is valid, new and in sequence, so that a figure measures work and not waiting."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import Final, NamedTuple

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
from synth.truth import DeathReport, Income, Person, present

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

    No stream may have been drawn from the county before. With `deaths_every` above 0, each such event is a confirmed
    death (10: every tenth), and its person gets no further event. `recorded_from`: the events have times from here on,
    one per millisecond (default: the first instant of the county's day). Afterwards `County.truth` includes the
    changes. Raises ValueError if the county has too few people, if a person could get more changes than there are days,
    and if nobody would be alive in the end.
    """
    living = people - (n // deaths_every if deaths_every else 0)  # at the end; they get the changes of the dead
    if people > len(county.people) or n > living * (OLD_ENOUGH.days - 2):
        raise ValueError("too many changes for so few people")
    rng = Random(f"targets/{seed}")
    subjects = [_Subject(person) for person in rng.sample(county.people, people)]
    time = recorded_from or calendar.start_of_day(county.today).astimezone(calendar.SHANGHAI)
    for made, subject in enumerate(islice(_in_turn(subjects), n), 1):
        dies = deaths_every and made % deaths_every == 0
        draw = _death if dies else _change
        yield draw(county, rng, subject, time + timedelta(milliseconds=made))[1]


def _in_turn(subjects: Sequence[_Subject]) -> Iterator[_Subject]:
    """Yield the living subjects, round by round, without end."""
    for subject in cycle(subjects):
        if not subject.person.died_on:
            yield subject


class _Turn(NamedTuple):
    """One change of a person, valid from a day and recorded at an instant."""

    county: County
    rng: Random
    person: Person
    day: date
    time: datetime

    def created(self, kind: str, value: Event, office: str = "") -> Sent:
        return self.county.writer.created(self.person, kind, self.day, value, self.time, office)


def _change(county: County, rng: Random, subject: _Subject, time: datetime) -> Sent:
    subject.turn += 1
    day = county.loaded_on - OLD_ENOUGH + timedelta(days=1 + subject.turn)
    change = _CHANGES[bisect(MIX, rng.random())]
    return change(_Turn(county, rng, subject.person, day, time))


def _home(turn: _Turn) -> Sent:
    home = draw_home(turn.county, turn.rng, turn.person)
    turn.person.set_home(turn.day, home)
    return turn.created("residence", residence_value(home))


def _income(turn: _Turn) -> Sent:
    """Begin low income, or end it if it exists. For the head it is that of the household, for others their own."""
    household = turn.person.heads()
    subject = household or turn.person
    if present(subject.income):
        subject.set_income(turn.day, None)
        return turn.county.writer.ended(turn.person, "low_income", turn.day, turn.time)
    new = Income(turn.rng.choice(CATEGORIES))
    subject.set_income(turn.day, new)
    return turn.created("low_income", income_value(new, household))


def _disability(turn: _Turn) -> Sent:
    disability = draw_disability(turn.rng)
    turn.person.set_disability(turn.day, disability)
    return turn.created("disability", disability_value(turn.person, disability))


def _living(turn: _Turn) -> Sent:
    tags = draw_tags(turn.rng, turn.person)
    turn.person.set_tags(turn.day, tags)
    return turn.created("living_situation", living_value(tags, turn.day))


_CHANGES: Final = (_home, _income, _disability, _living)  # the kinds of MIX


def _death(county: County, rng: Random, subject: _Subject, time: datetime) -> Sent:
    subject.turn += 1
    person, evidence = subject.person, "register_cancelled"
    day = county.loaded_on - timedelta(days=int(rng.random() * 2))
    person.died_on = day
    person.deaths = (DeathReport(day, evidence),)
    return _Turn(county, rng, person, day, time).created("death", {"evidence": evidence}, DEATH_OFFICES[evidence])
