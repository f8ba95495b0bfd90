"""Months that nobody pays because somebody moved: where the lists of two areas do not meet.

`due` never pays twice and never invents a month, so a month that neither list claims stays empty without a word. Each
such gap is the lists' doing, not the person's: it is a case for the officials of both areas.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal, NamedTuple

from common.codes import divisions
from common.events.entitlement import Entitlement
from common.events.facts import Registration, Residence

from rules.due import Run, first_day, runs_by_item
from rules.items import ITEM_TITLES
from rules.timeline import Fact
from rules.wording import area_name

Why = Literal["pay_rules", "no_amount", "refused", "unknown", "suppressed", "choice_required"]
WHY: Final[dict[Why, str]] = {
    "pay_rules": "两地的起停月份没有接上",
    "no_amount": "迁入地没有规定金额",
    "refused": "不符合迁入地的条件",
    "unknown": "迁入地还要核实情况",
    "suppressed": "按迁入地的衔接规则不发",
    "choice_required": "迁入地要本人选择",
}


class Gap(NamedTuple):
    """From `first_month` until `until_month` (None: open) nobody pays `item`, though `old` paid it until the move.

    Months by their first day. `new`: the area whose list counts after the move, None where none names the item.
    """

    item: str
    old: str
    new: str | None
    moved_on: date
    first_month: date
    until_month: date | None
    why: Why

    @property
    def text(self) -> str:
        until = f"至{self.until_month:%Y-%m}（不含）" if self.until_month else "起"
        into = f"迁到{area_name(self.new)}" if self.new else "迁出"
        title = ITEM_TITLES.get(self.item, self.item)
        since = f"{self.first_month:%Y-%m}{until}"
        return f"{self.moved_on}由{area_name(self.old)}{into}：{title}{since}无人发放，{WHY[self.why]}"


def gaps_of_moves(
    facts: Sequence[Fact], entitlements: Sequence[Entitlement], died_on: date | None = None
) -> tuple[Gap, ...]:
    """Every gap that a move of hukou or residence leaves in the money of one person, by item and day."""
    moves = _moves(facts)
    found: list[Gap] = []
    for runs in runs_by_item(entitlements, died_on):
        for i, run in enumerate(runs):
            if run.end_on is not None and any(
                not divisions.within(to, run.jurisdiction) for to in moves.get(run.end_on, ())
            ):
                found += _gap(run, runs[i + 1 :], entitlements, run.end_on)
    return tuple(found)


def _moves(facts: Sequence[Fact]) -> dict[date, list[str]]:
    """By day the places to which hukou or residence changes."""
    moves: dict[date, list[str]] = {}
    for fact in facts:
        if fact.valid_from is not None and isinstance(fact.value, Registration | Residence):
            to = fact.value.hukou_division if isinstance(fact.value, Registration) else fact.value.division
            moves.setdefault(fact.valid_from, []).append(to)
    return moves


def _gap(old: Run, later: Sequence[Run], entitlements: Sequence[Entitlement], day: date) -> Iterator[Gap]:
    item = old.stages[-1][2].item
    after = next(iter(later), None)
    if after is not None and after.first <= old.end:
        return
    until = first_day(after.first) if after else None
    here = next((e for e in entitlements if e.item == item and e.from_ <= day and (e.to is None or day < e.to)), None)
    new = here.jurisdiction if here else None
    yield Gap(item, old.jurisdiction, new, day, first_day(old.end), until, _why(here))


def _why(here: Entitlement | None) -> Why:
    """What the list of the new place makes of the person on the day of the move."""
    if here is None:
        return "refused"
    if here.state == "granted" or here.state == "suspended":
        return "no_amount" if here.amount_fen_per_month is None else "pay_rules"
    return here.state
