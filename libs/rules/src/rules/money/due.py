"""Money that is owed: entitlement intervals and pay rules in, one line per item, area and service month out.

The platform pays months, not days. The pay rules of an interval turn a day into a month:

* A beginning on day d: the first paid month is that of d (`same_month`) or the one after it (`next_month`).
* An end on day d: the first unpaid month is that of d or the one after it. So with `next_month` the month of the end is
  still paid. The day of an end is the first day without the entitlement. For a death it is the day of death itself,
  which may lie in the month before.
* A new amount in the same item and area replaces the old one from the month of d, or from the one after it.
* A version that a list sets in force on the first of a month counts from that month for everybody. The pay rules are
  about events of a person, not about the date of a law.

For one item a month is paid once. If two areas claim it (the month of a move), the older one pays: it was responsible
when the month began, it has announced the payment, and the new area can pay the next month without a question. If the
rules of two areas leave a month between them, nobody owes it.

Back-pay is the same function over past months.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from common.events.entitlement import Entitlement

from rules.money.runs import DEFAULT_TERMS, FOREVER, Run, first_day, month_index, runs_by_item

DueState = Literal["due", "held", "barred"]
Example = Literal["example_amount", "example_pay_rule"]
ANYWHERE: Final = "*"


class Due(NamedTuple):
    """`service_month`: its first day. `state`: held while a death is suspected or an identity change waits; barred if
    the amount or the pay rule is an example. `entitlement_id`: the interval that gives the amount. `rests_on`: the
    example, if there is one; outside a demonstration it is the reason that nothing is paid."""

    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int
    state: DueState
    fund: str
    entitlement_id: str
    rests_on: Example | None = None


def example_of(interval: Entitlement) -> Example | None:
    """The example on which money of an interval depends: `example_amount` (the list or its amount is an example) or
    `example_pay_rule` (only the pay rule is). None: documents state everything."""
    if interval.policy_status == "example":
        return "example_amount"
    return _example_rule(interval)


def _example_rule(interval: Entitlement) -> Example | None:
    return "example_pay_rule" if interval.pay is not None and interval.pay.status == "example" else None


def due(
    entitlements: Sequence[Entitlement],
    *,
    through_month: date,
    died_on: date | None = None,
    demo: bool,
    pay_from: Mapping[str, date] | None = None,
) -> tuple[Due, ...]:
    """All money owed for service months up to `through_month` (with payment in advance: one more), by item and month.

    `demo`: money that depends on an example is owed, not barred. `pay_from`: by area (`*`: any other) the first service
    month of this ledger; an earlier system paid the months before it.
    """
    floors = pay_from or {}
    through = month_index(through_month)
    lines: list[Due] = []
    for runs in runs_by_item(entitlements, died_on):
        lines += _lines(runs, through, demo, floors)
    return tuple(lines)


def owed_before(
    entitlements: Sequence[Entitlement], month: date, *, died_on: date | None = None, demo: bool
) -> dict[tuple[str, str, str], int]:
    """The payable sum of `due` for all service months before `month`, in fen by area, fund and item.

    It counts periods of months with one amount, because most persons have few of these in many years.
    """
    found: dict[tuple[str, str, str], int] = {}
    until = month_index(month)
    for runs in runs_by_item(entitlements, died_on):
        for line, months in _stretches(runs, until, demo):
            if line.state != "barred":
                key = (line.jurisdiction, line.fund, line.item)
                found[key] = found.get(key, 0) + line.amount_fen * months
    return found


def _stretches(runs: Sequence[Run], until: int, demo: bool) -> Iterator[tuple[Due, int]]:
    """Lines, each with the number of months before `until` for which it stands."""
    if len(runs) != 1:  # a month that two areas could pay is decided month by month
        for line in _lines(runs, until - 1, demo, {}):
            if month_index(line.service_month) < until:
                yield line, 1
        return
    (run,) = runs
    for begin, stop, line, _ in _by_stretches(run, max(run.first, 0), min(run.end, until), demo):
        yield line, stop - begin


def _by_stretches(run: Run, first: int, end: int, demo: bool) -> Iterator[tuple[int, int, Due, int]]:
    """Periods [begin, stop) with the line of `begin`, and how many months before its own month a line is due.

    The other months have the same line with another month. Periods without a line are left out.
    """
    turns = {month for stage in run.stages for month in stage[:2] if first < month < end}
    for begin, stop in pairwise([first, *sorted(turns), end]):
        found = _line(run, begin, demo) if begin < stop else None
        if found is not None:
            yield begin, stop, *found


def next_change(entitlements: Sequence[Entitlement], *, after_month: date, died_on: date | None = None) -> date | None:
    """The first `through_month` after `after_month` with which `due` returns more; None: never.

    It may return a month that brings nothing (one that another area pays). It never misses a month.
    """
    after = month_index(after_month)
    found = FOREVER
    for runs in runs_by_item(entitlements, died_on):
        for run in runs:
            month = max(run.first, after + 1)
            if month < run.end:
                ahead = max(_ahead(interval) for _, _, interval in run.stages)
                found = min(found, max(month - ahead, after + 1))
    return None if found == FOREVER else first_day(found)


def _lines(runs: Sequence[Run], through: int, demo: bool, floors: Mapping[str, date]) -> Iterator[Due]:
    """The lines of one item: every month once. An older run comes before a newer one, payable before barred money.

    The area that pays a month is decided first, before the checks of `through` and `floors`. So the answer does not
    change as time passes.
    """
    if len(runs) == 1:
        yield from _lines_of_one(runs[0], _floor(runs[0].jurisdiction, floors), through, demo)
        return
    floor = {run.jurisdiction: _floor(run.jurisdiction, floors) for run in runs}
    lowest = min(floor.values(), default=0)
    months: dict[int, tuple[Due, int]] = {}
    for run in runs:
        for month in range(max(run.first, lowest), min(run.end, through + 2)):
            taken = months.get(month)
            if taken is None or taken[0].state == "barred":
                found = _line(run, month, demo)
                if found is not None and (taken is None or found[0].state != "barred"):
                    months[month] = found
    for month in sorted(months):
        line, ahead = months[month]
        if floor[line.jurisdiction] <= month <= through + ahead:
            yield line


def _lines_of_one(run: Run, lowest: int, through: int, demo: bool) -> Iterator[Due]:
    """The lines if no other area could pay, which is nearly always."""
    for begin, stop, line, ahead in _by_stretches(run, max(run.first, lowest), min(run.end, through + 2), demo):
        item, jurisdiction, _, amount_fen, state, fund, entitlement_id, rests_on = line
        for month in range(begin, min(stop, through + ahead + 1)):
            yield Due(item, jurisdiction, first_day(month), amount_fen, state, fund, entitlement_id, rests_on)


def _line(run: Run, month: int, demo: bool) -> tuple[Due, int] | None:
    """The line of a run for a month, and how many months before its own month it is due."""
    paying, stated = _intervals_of(run, month)
    if not paying.amount_fen_per_month:
        return None
    state: DueState = "held" if stated.state == "suspended" else "due"
    # If `stated` has begun but its amount has not, its own pay rule is the reason that the amount before it is paid.
    rests_on = example_of(paying) or _example_rule(stated)
    if rests_on is not None and not demo:
        state = "barred"
    line = Due(
        paying.item,
        run.jurisdiction,
        first_day(month),
        paying.amount_fen_per_month,
        state,
        (paying.pay or DEFAULT_TERMS).fund,
        paying.entitlement_id,
        rests_on,
    )
    return line, _ahead(paying)


def _intervals_of(run: Run, month: int) -> tuple[Entitlement, Entitlement]:
    """The intervals that give the amount and the state of a month."""
    paying = stated = run.stages[0][2]
    for amount_from, state_from, interval in run.stages:
        if amount_from <= month:
            paying = interval
        if state_from <= month:
            stated = interval
    return paying, stated


def _ahead(interval: Entitlement) -> int:
    """How many months before its own month a line is due."""
    return 1 if (interval.pay or DEFAULT_TERMS).when == "advance" else 0


def _floor(jurisdiction: str, floors: Mapping[str, date]) -> int:
    floor = floors.get(jurisdiction) or floors.get(ANYWHERE)
    return month_index(floor) if floor else 0
