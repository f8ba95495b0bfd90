"""A slow and simple model of one key of a table: the days on which each statement of its rows holds.

A period has its first day and the end that a row or a deletion stated. Nothing else ends it. Of all periods that have
begun, the latest one decides.
"""

from dataclasses import dataclass, field
from datetime import date

from ingestion.exchange.domain.states import EndMeaning, RowRules

Row = tuple[str, date | None, date | None]


@dataclass
class Said:
    """A period. `stated`: category and first day as the row stated them; `since`: its first day; `until`: its end."""

    stated: tuple[str, date | None]
    since: date
    until: date


@dataclass
class SaidByRows:
    """The periods that the rows of a key stated, the earliest first. `present`: the last one, unless it was annulled.
    `is_there`: whether the row is in the table."""

    rules: RowRules
    periods: list[Said] = field(default_factory=list)
    present: Said | None = None
    is_there: bool = False

    def on(self, day: date) -> str | None:
        begun = [period for period in self.periods if period.since <= day]
        return begun[-1].stated[0] if begun and day < begun[-1].until else None

    def is_over(self, today: date) -> bool:
        """Whether no period is left that can end."""
        return self.present is None or self.present.until <= today

    def leave(self, today: date, meaning: EndMeaning) -> None:
        """The row has left the table."""
        if meaning == "nothing" or self.present is None:
            return
        self.is_there = False
        if meaning == "annulled":
            self._drop_from(self.present.since, end=self.present.since)
        elif self.present.until > today > self.present.since:
            self.present.until = today
        elif self.present.until > today:
            self._drop_from(today, end=today)

    def _drop_from(self, day: date, end: date) -> None:
        """Annul the periods from `day` on. The earlier ones are not there from `end` on."""
        self.periods = [period for period in self.periods if period.since < day]
        self.present = None
        for period in self.periods[-1:]:
            period.until = min(period.until, end)

    def read(self, today: date, row: Row) -> None:
        """The row is in the table. A row with an empty period is rejected: it says nothing."""
        stated, until = row[:2], row[2] or date.max
        if self.present is not None and self.present.stated == stated and self._continues(until):
            self.present.until, self.is_there = until, True
            return
        begins = self._begins(today, row[1])
        since = begins or self._corrected_since(today, row[1])
        if since >= until:
            return
        before = self.periods if begins or self.present is None else self.periods[:-1]
        self.present = Said(stated, since, until)
        self.periods = [period for period in before if period.since < since] + [self.present]
        self.is_there = True

    def _continues(self, until: date) -> bool:
        """Whether the same statement continues. If it has no day and comes back, it begins again."""
        assert self.present is not None
        return self.is_there or self.present.stated[1] is not None or self.present.until == until

    def _begins(self, today: date, day: date | None) -> date | None:
        """The first day of a new period; None if the row corrects the present one. `day`: the first day in the row."""
        day = self._own_day(today, day)
        if not self.periods:
            return day or date.min
        if self.present is None:
            return day or today
        if not self.is_there and (day or today) >= self.present.until:
            return day or today
        if self.rules.updated == "corrected" or self.present.since > today:
            return None
        if day is not None and self.present.since == date.min:
            return None  # the row adds the first day that it did not have
        first = day or today
        return first if first > self.present.since else None

    def _corrected_since(self, today: date, day: date | None) -> date:
        """The first day of a corrected period. A row without a day keeps the known one, unless it is in the future."""
        assert self.present is not None
        return self._own_day(today, day) or min(self.present.since, today)

    def _own_day(self, today: date, day: date | None) -> date | None:
        """The first day that the row states. In a table of first registrations, an unmoved day states none."""
        begun = [period.since for period in self.periods if period.since <= today]
        is_first = self.rules.updated == "created" and day is not None and begun and day <= begun[-1]
        return None if is_first else day
