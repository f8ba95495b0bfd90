"""Compute the money that is owed to a person, from entitlement intervals and their pay rules.

The result has one line (`Due`) per item, area and service month. A run is a sequence of consecutive intervals of one
item and area (`rules.money.runs`). The platform pays months, not days. The pay rules turn a day into a month:

* A beginning on day d: the first paid month is that of d (`same_month`) or the one after it (`next_month`).
* An end on day d: the first unpaid month is that of d or the one after it. So with `next_month` the month of the end is
  still paid. The day of an end is the first day without the entitlement. For a death it is the day of death itself,
  which may lie in the month before.
* A new amount in the same item and area replaces the old one from the month of d, or from the one after it.
* A version that a list sets in force on the first of a month counts from that month for every person. The pay rules are
  about events of a person, not about the date of a law.

For one item a month is paid once. If the rules of two areas both give the month of a move, the older area pays. It was
responsible when the month began, and it has announced the payment. The new area can pay the next month. If the rules of
two areas leave a month between them, no area owes it.

`due` also computes back-pay: it is called for past months.
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
    """The money that an area owes a person for one item and service month.

    `service_month`: its first day. `state`: held while a death is suspected or an identity change waits. It is barred
    outside a demonstration if the amount or the pay rule is an example. `entitlement_id`: the interval that gives the
    amount. `rests_on`: the example, if there is one.
    """

    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int
    state: DueState
    fund: str
    entitlement_id: str
    rests_on: Example | None = None


def example_of(interval: Entitlement) -> Example | None:
    """Return the example on which the money of an interval depends; None: documents state everything.

    `example_amount`: the list or its amount is an example. `example_pay_rule`: only the pay rule is one.
    """
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
    """Return all money owed for service months up to `through_month` (paid in advance: one more), by item and month.

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
    """Return the payable sum of `due` for all service months before `month`, in fen by area, fund and item.

    The function counts periods with one amount, not months, because most persons have few such periods.
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
    """Yield lines of one item, each with the number of months before `until` that have the same line."""
    if len(runs) != 1:  # a month that two areas could pay is decided month by month
        for line in _lines(runs, until - 1, demo, {}):
            if month_index(line.service_month) < until:
                yield line, 1
        return
    (run,) = runs
    for begin, stop, line, _ in _by_stretches(run, max(run.first, 0), min(run.end, until), demo):
        yield line, stop - begin


def _by_stretches(run: Run, first: int, end: int, demo: bool) -> Iterator[tuple[int, int, Due, int]]:
    """Yield (begin, stop, line, ahead) for each period of months with an equal line.

    `line` is that of the month `begin`. The other months differ only in the month. `ahead`: how many months before its
    own month a line is due. Periods without a line are left out.
    """
    turns = {month for stage in run.stages for month in stage[:2] if first < month < end}
    for begin, stop in pairwise([first, *sorted(turns), end]):
        found = _line(run, begin, demo) if begin < stop else None
        if found is not None:
            yield begin, stop, *found


def next_change(entitlements: Sequence[Entitlement], *, after_month: date, died_on: date | None = None) -> date | None:
    """Return the first `through_month` after `after_month` for which `due` returns more lines; None: never.

    The result may be too early, because another area pays the month. It is never too late.
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
    """Yield the lines of one item, at most one for each month. `floors`: `pay_from` of `due`.

    An older run has priority over a newer one, and payable money over barred money. The area that pays a month is
    decided before the checks of `through` and `floors`. So the answer does not change as time passes.
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
    """Yield the lines of an item that has only this run. This is the fast path for nearly all persons.

    `lowest`: the first month that this ledger pays."""
    for begin, stop, line, ahead in _by_stretches(run, max(run.first, lowest), min(run.end, through + 2), demo):
        item, jurisdiction, _, amount_fen, state, fund, entitlement_id, rests_on = line
        for month in range(begin, min(stop, through + ahead + 1)):
            yield Due(item, jurisdiction, first_day(month), amount_fen, state, fund, entitlement_id, rests_on)


def _line(run: Run, month: int, demo: bool) -> tuple[Due, int] | None:
    """Return the line of a run for a month, and how many months before its own month it is due. None: nothing owed."""
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
    """Return the interval that gives the amount of a month, and the interval that gives its state."""
    paying = stated = run.stages[0][2]
    for amount_from, state_from, interval in run.stages:
        if amount_from <= month:
            paying = interval
        if state_from <= month:
            stated = interval
    return paying, stated


def _ahead(interval: Entitlement) -> int:
    """Return how many months before its own month a line of an interval is due."""
    return 1 if (interval.pay or DEFAULT_TERMS).when == "advance" else 0


def _floor(jurisdiction: str, floors: Mapping[str, date]) -> int:
    """Return the first month that this ledger pays for an area."""
    floor = floors.get(jurisdiction) or floors.get(ANYWHERE)
    return month_index(floor) if floor else 0
