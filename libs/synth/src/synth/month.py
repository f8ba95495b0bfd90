"""A simulated month: how often changes happen, who has them, and when the offices report them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from common import calendar

from synth.cloud_events import Event, EventWriter, Sent
from synth.county import County
from synth.truth import Household, Person

TRIES_MAX: Final = 20


@dataclass(frozen=True)
class Rates:
    """Changes per 1,000 people and month. From `wrong` on: reports with an error per 1,000 reports.

    `wrong`: recorded wrongly and corrected later. `phantom`: reported and annulled, because it never happened.
    `false_death`: a living person is reported dead, per 1,000 people and month.
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
        """All changes `factor` times as often, with the same share of errors."""
        shares = {"wrong", "phantom"}
        more = {f.name: getattr(self, f.name) * factor for f in fields(self) if f.name not in shares}
        return replace(self, **more)


class Month:
    """One simulated month `[start, end)` of a county."""

    def __init__(
        self, county: County, start: date, end: date, rng: Random, rates: Rates, writer: EventWriter | None = None
    ) -> None:
        self.county, self.start, self.end, self.rng, self.rates = county, start, end, rng, rates
        self.writer: EventWriter = writer or county.writer
        self._days = (end - start).days

    def occurrences(self, per_thousand: float) -> range:
        """A loop over as many changes as the rate gives for this county, the fraction by chance."""
        expected = per_thousand * len(self.county.people) / 1000
        return range(int(expected) + (self.rng.random() < expected % 1))

    def random_day(self) -> date:
        return self.start + timedelta(days=int(self.rng.random() * self._days))

    def report_time(self, day: date, days_min: int = 0, days_max: int = 15) -> datetime:
        """When an office records a change of `day`: some days later, in office hours."""
        after = days_min + int(self.rng.random() * (days_max - days_min + 1))
        seconds = 8 * 3600 + self.rng.random() * 10 * 3600
        start = datetime(day.year, day.month, day.day, tzinfo=calendar.SHANGHAI)
        return start + timedelta(days=after, milliseconds=int(seconds * 1000))

    def draw_person(self, kind: str, day: date, fits: Callable[[Person], bool] | None = None) -> Person | None:
        """A person who lives on that day and may have a change of this kind. None after TRIES_MAX tries."""
        people = self.county.people
        for _ in range(TRIES_MAX):
            person = people[int(self.rng.random() * len(people))]
            if self.may_change(person, kind, day) and (fits is None or fits(person)):
                return person
        return None

    def draw_people(
        self, per_thousand: float, kind: str, fits: Callable[[Person], bool] | None = None
    ) -> Iterator[tuple[Person, date]]:
        """People with a change of this kind, each with its day, as often as the rate gives."""
        for _ in self.occurrences(per_thousand):
            day = self.random_day()
            person = self.draw_person(kind, day, fits)
            if person is not None:
                yield person, day

    def may_change(self, person: Person, kind: str, day: date) -> bool:
        return person.lives(day) and person.settled.get(kind, self.county.loaded_on) < day

    def is_wrong(self) -> bool:
        return self.rng.random() * 1000 < self.rates.wrong

    def is_phantom(self) -> bool:
        return self.rng.random() * 1000 < self.rates.phantom

    def settle(self, subject: Person | Household, kind: str, sent: list[Sent]) -> list[Sent]:
        """Allow no further change of this kind up to the last of these reports. Returns `sent`."""
        last = max(time for time, _ in sent).date()
        if isinstance(subject, Household):
            subject.settled = last
        else:
            subject.settled[kind] = last
        return sent


Changes = Iterator[list[Sent]]


def report(month: Month, person: Person, kind: str, day: date, right: Event, wrong: Event) -> list[Sent]:
    """The reports of a change: usually right, sometimes with a wrong value or day and corrected weeks later."""
    writer = month.writer
    if not month.is_wrong():
        return month.settle(person, kind, [writer.created(person, kind, day, right, month.report_time(day))])
    first_day, first = day, wrong
    if month.rng.random() < 0.4:
        first_day, first = day + timedelta(days=1 + int(month.rng.random() * 10)), right
    time = month.report_time(first_day)
    sent = [writer.created(person, kind, first_day, first, time)]
    sent.append(writer.corrected(person, kind, day, right, month.report_time(time.date(), 2, 40)))
    return month.settle(person, kind, sent)


def phantom(month: Month, person: Person, kind: str, day: date, value: Event) -> list[Sent]:
    """Report a change that never happened, and annul it. The chain that was open stays the open one."""
    chain = person.chains.get(kind)
    time = month.report_time(day)
    sent = [month.writer.created(person, kind, day, value, time)]
    sent.append(month.writer.annulled(person, kind, month.report_time(time.date(), 2, 40)))
    if chain is None:
        del person.chains[kind]
    else:
        person.chains[kind] = chain
    return month.settle(person, kind, sent)


def ending(month: Month, person: Person, kind: str, day: date) -> list[Sent]:
    return month.settle(person, kind, [month.writer.ended(person, kind, day, month.report_time(day))])
