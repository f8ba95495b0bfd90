"""What a simulated month needs: how often things happen, who is there for them, and when they are told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from common import calendar

from synth.county import County
from synth.scribe import Event, Scribe, Sent
from synth.world import Household, Person

TRIES_MAX = 20


@dataclass(frozen=True)
class Rates:
    """Changes per 1,000 people and month, and (from `wrong` on) how many of 1,000 reports go wrong.

    `wrong`: recorded wrongly and corrected later; `phantom`: reported and annulled, it was never so;
    `false_death`: somebody alive is reported dead, per 1,000 people and month.
    """

    home: float = 2.5
    hukou: float = 0.6
    newcomer: float = 1.5
    certificate: float = 1.5
    household_income: float = 1.2
    own_income: float = 0.5
    household_member: float = 0.3
    living: float = 9.0
    special: float = 0.08
    old_error: float = 0.4
    false_death: float = 0.05
    deaths_times: float = 1.0
    incident: float = 0.8
    hospital: float = 3.0
    contact: float = 1.0
    account: float = 1.0
    others: float = 0.6
    wrong: float = 60.0
    phantom: float = 30.0

    def times(self, factor: float) -> "Rates":
        """Everything so many times as often, with the same share of mistakes."""
        shares = {"wrong", "phantom"}
        more = {f.name: getattr(self, f.name) * factor for f in fields(self) if f.name not in shares}
        return replace(self, **more)


class Month:
    """One simulated month `[start, end)` of a county."""

    def __init__(
        self, county: County, start: date, end: date, rng: Random, rates: Rates, scribe: Scribe | None = None
    ) -> None:
        self.county, self.start, self.end, self.rng, self.rates = county, start, end, rng, rates
        self.scribe: Scribe = scribe or county.scribe
        self._days = (end - start).days

    def often(self, per_thousand: float) -> range:
        """As many turns as the rate gives for this county, the fraction by chance."""
        expected = per_thousand * len(self.county.people) / 1000
        return range(int(expected) + (self.rng.random() < expected % 1))

    def some_day(self) -> date:
        return self.start + timedelta(days=int(self.rng.random() * self._days))

    def told(self, day: date, days_min: int = 0, days_max: int = 15) -> datetime:
        """When an office has it in its register: office hours, some days after `day`."""
        after = days_min + int(self.rng.random() * (days_max - days_min + 1))
        seconds = 8 * 3600 + self.rng.random() * 10 * 3600
        start = datetime(day.year, day.month, day.day, tzinfo=calendar.SHANGHAI)
        return start + timedelta(days=after, milliseconds=int(seconds * 1000))

    def someone(self, kind: str, day: date, fits: Callable[[Person], bool] | None = None) -> Person | None:
        """Somebody alive on that day whose facts of a kind are settled; None when luck finds nobody."""
        people = self.county.people
        for _ in range(TRIES_MAX):
            person = people[int(self.rng.random() * len(people))]
            if self.open_to(person, kind, day) and (fits is None or fits(person)):
                return person
        return None

    def open_to(self, person: Person, kind: str, day: date) -> bool:
        return person.lives(day) and person.settled.get(kind, self.county.loaded_on) < day

    def wrongly(self) -> bool:
        return self.rng.random() * 1000 < self.rates.wrong

    def settle(self, subject: Person | Household, kind: str, sent: list[Sent]) -> list[Sent]:
        """Nothing of this kind changes again before the day after all of this is told."""
        last = max(time for time, _ in sent).date()
        if isinstance(subject, Household):
            subject.settled = last
        else:
            subject.settled[kind] = last
        return sent


Change = Iterator[list[Sent]]


def report(month: Month, person: Person, kind: str, day: date, right: Event, wrong: Event) -> list[Sent]:
    """Tell a change: mostly right at once, sometimes with a wrong value or day and corrected weeks later."""
    scribe = month.scribe
    if not month.wrongly():
        return month.settle(person, kind, [scribe.created(person, kind, day, right, month.told(day))])
    if month.rng.random() < 0.4:
        first_day, first = day + timedelta(days=1 + int(month.rng.random() * 10)), right
    else:
        first_day, first = day, wrong
    time = month.told(first_day)
    sent = [scribe.created(person, kind, first_day, first, time)]
    sent.append(scribe.corrected(person, kind, day, right, month.told(time.date(), 2, 40)))
    return month.settle(person, kind, sent)


def phantom(month: Month, person: Person, kind: str, day: date, value: dict[str, Any]) -> list[Sent]:
    """Tell what never was, and take it back. The chain that was open stays the open one."""
    chain = person.chains.get(kind)
    time = month.told(day)
    sent = [month.scribe.created(person, kind, day, value, time)]
    sent.append(month.scribe.annulled(person, kind, month.told(time.date(), 2, 40)))
    if chain is None:
        del person.chains[kind]
    else:
        person.chains[kind] = chain
    return month.settle(person, kind, sent)


def ending(month: Month, person: Person, kind: str, day: date) -> list[Sent]:
    return month.settle(person, kind, [month.scribe.ended(person, kind, day, month.told(day))])
