"""Join consecutive cash intervals of one item and area to runs, with the service months in which they begin and end.

`rules.money.due` has the rules that turn a day into a month. A month is a number here: 12 × year + month - 1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from common.events.entitlement import Entitlement, MonthRule, PayTerms

FOREVER: Final = 12 * 10_000
DEFAULT_TERMS: Final = PayTerms()
_ENTITLED: Final = ("granted", "suspended")  # suspended: the right continues, the money waits
_ONE_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Run:
    """Intervals of one item and area without a day between them. `first`: the first paid month. `end`: the first
    unpaid month.

    `stages`: (first month of the amount, first month of the state, interval), in the order of days.
    """

    start_on: date
    first: int
    jurisdiction: str
    end_on: date | None = None
    end: int = FOREVER
    stages: list[tuple[int, int, Entitlement]] = field(default_factory=list)

    @property
    def terms(self) -> PayTerms:
        return self.stages[-1][2].pay or DEFAULT_TERMS


def runs_by_item(entitlements: Iterable[Entitlement], died_on: date | None) -> Iterator[list[Run]]:
    """Yield for each item its runs, the older before the newer."""
    by_item = _pieces_by_item(entitlements, died_on)
    for item in sorted(by_item):
        areas = by_item[item]
        by_list = {e.from_ for pieces in areas.values() for _, _, e in pieces if _by_list(e)}
        runs = [run for area in areas for run in _runs(area, areas[area])]
        for run in runs:
            run.end = _end(run, died_on, by_list)
        yield sorted((r for r in runs if r.first < r.end), key=lambda r: (r.start_on, r.jurisdiction))


_Piece = tuple[date, date | None, Entitlement]  # an interval with its first day and its end


def _pieces_by_item(entitlements: Iterable[Entitlement], died_on: date | None) -> dict[str, dict[str, list[_Piece]]]:
    """Return the cash intervals with an amount by item and area. A death ends them on the day after it."""
    end = None if died_on is None else died_on + _ONE_DAY
    found: dict[str, dict[str, list[_Piece]]] = {}
    for e in entitlements:
        if e.kind != "cash" or e.state not in _ENTITLED or e.amount_fen_per_month is None:
            continue  # without an amount nothing is owed, and nothing has begun
        to = e.to
        if end is not None:
            to = end if to is None else min(to, end)
        if to is None or e.from_ < to:
            found.setdefault(e.item, {}).setdefault(e.jurisdiction, []).append((e.from_, to, e))
    return found


def _runs(jurisdiction: str, pieces: list[_Piece]) -> Iterator[Run]:
    """Yield the runs of one item and area, without the month of their end."""
    run: Run | None = None
    for start, to, interval in sorted(pieces, key=lambda piece: piece[0]):
        terms = interval.pay or DEFAULT_TERMS
        if run is None or (run.end_on is not None and run.end_on < start):
            if run is not None:
                yield run
            first = _month(start, "same_month" if _by_list(interval) else terms.start)
            run = Run(start, first, jurisdiction)
            run.stages.append((first, first, interval))
        else:
            changed = _month(start, "same_month" if _by_list(interval) else terms.band_change)
            run.stages.append((changed, month_index(start), interval))
        run.end_on = to
    if run is not None:
        yield run


def _end(run: Run, died_on: date | None, by_list: set[date]) -> int:
    """Return the first unpaid month of a run. `by_list`: days on which an interval begins with its version."""
    if run.end_on is None:
        return FOREVER
    if died_on is not None and run.end_on > died_on:
        return _month(died_on, run.terms.stop)
    return _month(run.end_on, "same_month" if run.end_on in by_list else run.terms.stop)


def _by_list(interval: Entitlement) -> bool:
    """Whether the interval begins with its version (`<area>/<item>@<date>`), on the first of a month."""
    return interval.from_.day == 1 and interval.policy.endswith(f"@{interval.from_.isoformat()}")


def _month(day: date, rule: MonthRule) -> int:
    """Return the month of a day, or the month after it, as the rule says."""
    return month_index(day) + (rule == "next_month")


def month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def first_day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)
