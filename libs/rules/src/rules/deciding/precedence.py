"""What is set aside before items are held against each other: what the person gave up, and what a benefit of another
office takes the place of. Both stay visible and come back by themselves.

An item that has the higher amount against a benefit received elsewhere is not paid beside it: the person has the
benefit and may give it up (`choice_required`). Where the benefit's amount is not known, that is asked for.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from rules.deciding.conditions import ELSEWHERE, WISHES
from rules.deciding.exclusions import Relations
from rules.deciding.outcome import Outcome
from rules.form.items import DECLINED

Received = Collection[tuple[str, int | None]]  # benefit, fen per month where it is known


def give_up(outcomes: Sequence[Outcome], wishes: Collection[tuple[str, str]]) -> list[Outcome]:
    """Those suppressed that would be given and that the person declined; nobody is refused by a wish."""
    return [
        _set_aside(o, WISHES, state="suppressed", suppressed_by=DECLINED)
        if o.state == "granted" and (o.item, "decline") in wishes
        else o
        for o in outcomes
    ]


def yield_elsewhere(outcomes: Sequence[Outcome], relations: Relations, received: Received) -> list[Outcome]:
    """What becomes of the items that a benefit received elsewhere blocks or is held against."""
    amounts = dict(sorted(received, key=repr))
    return [_against(o, relations, amounts) if o.state == "granted" else o for o in outcomes]


def _against(outcome: Outcome, relations: Relations, amounts: dict[str, int | None]) -> Outcome:
    blocks = [b for b in relations.blocked_elsewhere.get(outcome.item, ()) if b in amounts]
    if blocks:
        return _set_aside(outcome, ELSEWHERE, state="suppressed", suppressed_by=blocks[0])
    rivals = [b for b in relations.beaten_elsewhere.get(outcome.item, ()) if b in amounts]
    if not rivals or outcome.unset:  # where no list says how much there is nothing to compare
        return outcome
    known = [(fen, b) for b in rivals if (fen := amounts[b]) is not None]
    most, by = max(known, key=lambda pair: pair[0], default=(-1, ""))
    if known and most >= (outcome.amount_fen_per_month or 0):
        return _set_aside(outcome, ELSEWHERE, state="suppressed", suppressed_by=by)
    if len(known) == len(rivals):
        return _set_aside(outcome, ELSEWHERE, state="choice_required", suppressed_by=by)
    given = ("amount_fen_per_month", "pay", "tier", "interval_days", "reverify_months")
    asked = dict.fromkeys(given)
    return _set_aside(outcome, ELSEWHERE, state="unknown", missing_facts=("benefit_elsewhere",), **asked)


def _set_aside(outcome: Outcome, slot: int, **what: Any) -> Outcome:
    """Changed by what stands at `slot` in the world, which is then one of the things it hangs on."""
    return msgspec.structs.replace(outcome, slots=tuple(sorted({*outcome.slots, slot})), **what)
