"""Months that nobody pays because somebody moved: where the lists of two areas do not meet.

`due` never pays twice and never invents a month, so a month that neither list claims stays empty without a word. Each
such gap is the lists' doing, not the person's: it is a case for the officials of both areas.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from common.calendar import month_text
from common.codes import divisions
from common.events.entitlement import Entitlement, GapReason, MoveGap
from common.events.facts import Registration, Residence

from rules.deciding.wording import area_name
from rules.facts.timeline import Fact
from rules.form.items import ITEM_TITLES
from rules.money.due import Run, first_day, runs_by_item
from rules.money.tallies import county_of

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
    """`left`: None where nothing was known before."""

    left: str | None
    to: str


def gap_text(gap: MoveGap, title: str | None = None) -> str:
    """`title`: of an item that only its own list can name."""
    until = f"至{gap.until_month}（不含）" if gap.until_month else "起"
    told = title or ITEM_TITLES.get(gap.item, gap.item)
    place = f"由{area_name(gap.left)}迁到{area_name(gap.moved_to)}"
    return f"{gap.moved_on}{place}：{told}{gap.first_month}{until}无人发放，{WHY[gap.why]}"


def gaps_of_moves(
    facts: Sequence[Fact], entitlements: Sequence[Entitlement], died_on: date | None = None
) -> tuple[MoveGap, ...]:
    """Every gap that a move of hukou or residence leaves in the money of one person, by item and day."""
    ends = {e.to for e in entitlements if e.to is not None}
    if not ends or ends.isdisjoint([f.valid_from for f in facts if f.kind in _PLACES]):
        return ()  # most people: nothing ends where they move
    moves = _moves(facts)
    found: list[MoveGap] = []
    for runs in runs_by_item(entitlements, died_on):
        for i, run in enumerate(runs):
            there = moves.get(run.end_on, ()) if run.end_on else ()
            away = [m for m in there if not divisions.within(m.to, run.jurisdiction)]
            if away:
                found += _gap(run, runs[i + 1 :], entitlements, away)
    return tuple(found)


def _moves(facts: Sequence[Fact]) -> dict[date, list[_Move]]:
    """By day the steps of hukou or residence from place to place. To have a hukou no longer is no step to anywhere."""
    moves: dict[date, list[_Move]] = {}
    at: dict[str, str] = {}
    for fact in sorted(facts, key=lambda f: f.valid_from or date.min):
        if isinstance(fact.value, Registration | Residence):
            to = fact.value.hukou_division if isinstance(fact.value, Registration) else fact.value.division
            if to is None:
                at.pop(fact.kind, None)
                continue
            if fact.valid_from is not None:
                moves.setdefault(fact.valid_from, []).append(_Move(at.get(fact.kind), to))
            at[fact.kind] = to
    return moves


def _gap(
    old: Run, later: Sequence[Run], entitlements: Sequence[Entitlement], moves: Sequence[_Move]
) -> Iterator[MoveGap]:
    """`moves`: those of the day on which `old` ends."""
    paid, day = old.stages[-1][2], old.end_on
    after = next(iter(later), None)
    if day is None or (after is not None and after.first <= old.end):
        return
    here = next(
        (e for e in entitlements if e.item == paid.item and e.from_ <= day and (e.to is None or day < e.to)), None
    )
    move = next((m for m in moves if here and divisions.within(m.to, here.jurisdiction)), moves[0])
    within = move.left is not None and divisions.within(move.left, old.jurisdiction)
    yield MoveGap(
        item=paid.item,
        old=old.jurisdiction,
        old_policy=paid.policy,
        left=county_of(move.left) if within and move.left else old.jurisdiction,
        new=here.jurisdiction if here else None,
        new_policy=here.policy if here else None,
        moved_to=county_of(move.to),
        moved_on=day,
        first_month=month_text(first_day(old.end)),
        until_month=month_text(first_day(after.first)) if after else None,
        why=_why(here),
    )


def _why(here: Entitlement | None) -> GapReason:
    """What the list of the new place makes of the person on the day of the move."""
    if here is None:
        return "refused"
    if here.state == "granted" or here.state == "suspended":
        return "no_amount" if here.amount_fen_per_month is None else "pay_rules"
    return here.state
