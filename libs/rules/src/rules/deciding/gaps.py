"""Find move gaps: months that no area pays, because a person moved and the lists of two areas do not meet.

A run (`rules.money.runs`) is an unbroken time in which one area pays one item. `rules.money.due` pays no month twice
and adds no month. So a month that neither list pays is silently absent. The lists cause the gap, not the person.
Officials of both areas must solve it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from common.calendar import month_text
from common.codes import divisions
from common.events.entitlement import Entitlement, GapReason, MoveGap
from common.events.facts import Registration, Residence
from common.words_zh import ITEMS

from rules.facts.timeline import FAR_PAST, Fact
from rules.form.names import area_name
from rules.form.period import is_within
from rules.money.groups import county_of
from rules.money.runs import Run, first_day, runs_by_item

WHY: Final[dict[GapReason, str]] = {
    "pay_rules": "两地的起停月份没有接上",
    "no_amount": "迁入地没有规定金额",
    "refused": "不符合迁入地的条件，或者迁入地的清单没有这个项目",
    "unknown": "迁入地还要核实情况",
    "suppressed": "按迁入地的衔接规则不发",
    "choice_required": "迁入地要本人选择",
}
_PLACES: Final = ("registration", "residence")


class _Move(NamedTuple):
    """A change of hukou or residence, from one division to another. `left`: None if no place was known before."""

    left: str | None
    to: str


def gap_text(gap: MoveGap, title: str | None = None) -> str:
    """Return the gap as a Chinese sentence. `title`: the item's name; without it the public name or the code."""
    until = f"至{gap.until_month}（不含）" if gap.until_month else "起"
    name = title or ITEMS.get(gap.item, gap.item)
    places = f"由{area_name(gap.left)}迁到{area_name(gap.moved_to)}"
    return f"{gap.moved_on}{places}：{name}{gap.first_month}{until}无人发放，{WHY[gap.why]}"


def gaps_of_moves(
    facts: Sequence[Fact], entitlements: Sequence[Entitlement], died_on: date | None = None
) -> tuple[MoveGap, ...]:
    """Return every gap that a move of hukou or residence leaves in the money of one person, by item and day."""
    ends = {e.to for e in entitlements if e.to is not None}
    if not ends or ends.isdisjoint([f.valid_from for f in facts if f.kind in _PLACES]):
        return ()  # most persons: no entitlement ends on the day of a move
    moves = _moves(facts)
    found: list[MoveGap] = []
    for runs in runs_by_item(entitlements, died_on):
        for run, following in zip(runs, [*runs[1:], None], strict=False):
            away = _moves_out(run, moves)
            if away and _leaves_months(run, following):
                found.append(_gap(run, following, entitlements, away))
    return tuple(found)


def _moves(facts: Sequence[Fact]) -> dict[date, list[_Move]]:
    """Return the moves by day. The loss of a hukou is not a move."""
    moves: dict[date, list[_Move]] = {}
    at: dict[str, str] = {}
    for fact in sorted(facts, key=lambda f: f.valid_from or FAR_PAST):
        if not isinstance(fact.value, Registration | Residence):
            continue
        to = fact.value.hukou_division if isinstance(fact.value, Registration) else fact.value.division
        if to is None:
            at.pop(fact.kind, None)
            continue
        if fact.valid_from is not None:
            moves.setdefault(fact.valid_from, []).append(_Move(at.get(fact.kind), to))
        at[fact.kind] = to
    return moves


def _moves_out(run: Run, moves: dict[date, list[_Move]]) -> list[_Move]:
    """Return the moves to a place outside the area of a run, on the day on which the run ends. The place before may
    also lie outside it."""
    on_that_day = moves.get(run.end_on, []) if run.end_on else []
    return [move for move in on_that_day if not divisions.within(move.to, run.jurisdiction)]


def _leaves_months(run: Run, following: Run | None) -> bool:
    """Whether the month after a run is not paid."""
    return following is None or following.first > run.end


def _gap(old: Run, following: Run | None, entitlements: Sequence[Entitlement], moves: Sequence[_Move]) -> MoveGap:
    """Return the gap between the run `old` and the following one. `moves`: those of the day on which `old` ends."""
    paid, day = old.stages[-1][2], old.end_on
    assert day is not None
    here = _entitlement_on(day, paid.item, entitlements)
    move = next((m for m in moves if here and divisions.within(m.to, here.jurisdiction)), moves[0])
    return MoveGap(
        item=paid.item,
        old=old.jurisdiction,
        old_policy=paid.policy,
        left=_county_left(move, old.jurisdiction),
        new=here.jurisdiction if here else None,
        new_policy=here.policy if here else None,
        moved_to=county_of(move.to),
        moved_on=day,
        first_month=month_text(first_day(old.end)),
        until_month=month_text(first_day(following.first)) if following else None,
        why=_why(here),
    )


def _entitlement_on(day: date, item: str, entitlements: Sequence[Entitlement]) -> Entitlement | None:
    return next((e for e in entitlements if e.item == item and is_within(day, e.from_, e.to)), None)


def _county_left(move: _Move, area: str) -> str:
    """Return the county that the person left. If the place before lies outside the area that paid, return that area."""
    if move.left is not None and divisions.within(move.left, area):
        return county_of(move.left)
    return area


def _why(here: Entitlement | None) -> GapReason:
    """Return the reason of a gap. `here`: the person's entitlement on the day of the move, None if there is none."""
    if here is None:
        return "refused"
    if here.state == "granted" or here.state == "suspended":
        return "no_amount" if here.amount_fen_per_month is None else "pay_rules"
    return here.state
