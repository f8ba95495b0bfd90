"""A simulated month: how often changes happen, who has them, and when the offices report them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from common import calendar

from synth.cloud_events import Event, EventWriter, Sent
from synth.county import County
from synth.identity import draw
from synth.truth import Household, Person

TRIES_MAX: Final = 20


@dataclass(frozen=True)
class Rates:
    """Changes per 1,000 people and month, with three exceptions: `deaths_times`, `wrong` and `phantom`.

    `deaths_times`: a factor of the yearly death rates. `wrong`: so many of 1,000 reports are wrong and corrected later.
    `phantom`: so many of 1,000 changes never happened, and their reports are annulled later. `old_error`: corrections
    of the initial load. `false_death`: a living person is reported dead.
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
        """Return rates with all changes `factor` times as often, and the same share of errors."""
        names = {field.name for field in fields(self)} - {"wrong", "phantom"}
        return replace(self, **{name: getattr(self, name) * factor for name in names})


class Month:
    """One simulated month `[start, end)` of a county."""

    def __init__(
        self, county: County, start: date, end: date, rng: Random, rates: Rates, writer: EventWriter | None = None
    ) -> None:
        self.county, self.start, self.end, self.rng, self.rates = county, start, end, rng, rates
        self.writer: EventWriter = writer or county.writer
        self._days = (end - start).days

    def occurrences(self, per_thousand: float) -> range:
        """Return a range as long as the number of changes that the rate gives for this county. A fraction of a change
        is rounded up or down at random."""
        expected = per_thousand * len(self.county.people) / 1000
        return range(int(expected) + (self.rng.random() < expected % 1))

    def random_day(self) -> date:
        return self.start + timedelta(days=int(self.rng.random() * self._days))

    def report_time(self, day: date, days_min: int = 0, days_max: int = 15) -> datetime:
        """Return the instant at which an office records a change of `day`: some days later, in office hours."""
        after = days_min + int(self.rng.random() * (days_max - days_min + 1))
        start = datetime(day.year, day.month, day.day, tzinfo=calendar.SHANGHAI)
        return start + timedelta(days=after) + self._office_hour()

    def _office_hour(self) -> timedelta:
        """Return a random time of day from 8 to 18 o'clock."""
        seconds = 8 * 3600 + self.rng.random() * 10 * 3600
        return timedelta(milliseconds=int(seconds * 1000))

    def review_time(self, reported_at: datetime) -> datetime:
        """Return the instant at which an office corrects or annuls a wrong report: some days or weeks later."""
        return self.report_time(reported_at.date(), 2, 40)

    def draw_person(self, kind: str, day: date, fits: Callable[[Person], bool] | None = None) -> Person | None:
        """Return a random person who lives on that day, may have a change of this kind, and `fits`. None if TRIES_MAX
        tries find no one."""
        for _ in range(TRIES_MAX):
            person = draw(self.rng, self.county.people)
            if self.may_change(person, kind, day) and (fits is None or fits(person)):
                return person
        return None

    def draw_people(
        self, per_thousand: float, kind: str, fits: Callable[[Person], bool] | None = None
    ) -> Iterator[tuple[Person, date]]:
        """Yield (person, day of the change) as often as the rate gives. See `draw_person` for the other arguments."""
        for _ in self.occurrences(per_thousand):
            day = self.random_day()
            person = self.draw_person(kind, day, fits)
            if person is not None:
                yield person, day

    def may_change(self, person: Person, kind: str, day: date) -> bool:
        """Whether the person lives on that day, and the initial load and all changes and reports of this kind are
        earlier."""
        return person.lives(day) and person.settled.get(kind, self.county.loaded_on) < day

    def is_wrong(self) -> bool:
        return self.rng.random() * 1000 < self.rates.wrong

    def is_phantom(self) -> bool:
        return self.rng.random() * 1000 < self.rates.phantom

    def settle(self, subject: Person | Household, kind: str, sent: list[Sent]) -> list[Sent]:
        """Allow no further change of this kind up to the day of the last report in `sent`. Returns `sent`."""
        last = max(time for time, _ in sent).date()
        if isinstance(subject, Household):
            subject.settled = last
        else:
            subject.settled[kind] = last
        return sent


Changes = Iterator[list[Sent]]


def report(month: Month, person: Person, kind: str, day: date, right: Event, wrong: Event) -> list[Sent]:
    """Return the reports of a change: usually one right report, sometimes one with a wrong value or day, and its
    correction weeks later."""
    if month.is_wrong():
        return _corrected(month, person, kind, day, right, wrong)
    return right_report(month, person, kind, day, right)


def right_report(month: Month, person: Person, kind: str, day: date, value: Event) -> list[Sent]:
    return month.settle(person, kind, [month.writer.created(person, kind, day, value, month.report_time(day))])


def _corrected(month: Month, person: Person, kind: str, day: date, right: Event, wrong: Event) -> list[Sent]:
    """Return a report with a wrong value, or with the right value from a later day on, and its correction."""
    first_day, first = day, wrong
    if month.rng.random() < 0.4:
        first_day, first = day + timedelta(days=1 + int(month.rng.random() * 10)), right
    time = month.report_time(first_day)
    sent = [month.writer.created(person, kind, first_day, first, time)]
    sent.append(month.writer.corrected(person, kind, day, right, month.review_time(time)))
    return month.settle(person, kind, sent)


def phantom(month: Month, person: Person, kind: str, day: date, value: Event) -> list[Sent]:
    """Return the report of a change that never happened, and its annulment. The open chain of the kind (see `Person`)
    stays open."""
    chain = person.chains.get(kind)
    time = month.report_time(day)
    sent = [month.writer.created(person, kind, day, value, time)]
    sent.append(month.writer.annulled(person, kind, month.review_time(time)))
    _reopen(person, kind, chain)
    return month.settle(person, kind, sent)


def _reopen(person: Person, kind: str, chain: tuple[str, ...] | None) -> None:
    """Make `chain` the open one again. None: the chain of the initial load, which is not stored."""
    if chain is None:
        del person.chains[kind]
    else:
        person.chains[kind] = chain


def ending(month: Month, person: Person, kind: str, day: date) -> list[Sent]:
    return month.settle(person, kind, [month.writer.ended(person, kind, day, month.report_time(day))])
