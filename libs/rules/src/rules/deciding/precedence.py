"""Apply the rules that come before those between items: declined items, and benefits of other offices.

A suppressed item stays visible and becomes active again by itself. A rule may demand the higher of an item and a
benefit received elsewhere. If the item is higher, the person has the benefit and may give it up (`choice_required`).
If the benefit's amount is unknown, the platform asks for it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from rules.deciding.exclusions import Relations
from rules.deciding.outcome import Outcome
from rules.form.items import DECLINED
from rules.form.situation import ELSEWHERE, WISHES

Received = Collection[tuple[str, int | None]]  # benefit, fen per month if known


def give_up(outcomes: Sequence[Outcome], wishes: Collection[tuple[str, str]]) -> list[Outcome]:
    """Return the outcomes. A granted item that the person declined is suppressed, not refused."""
    declined = {item for item, wish in wishes if wish == "decline"}
    return [_declined(o) if o.state == "granted" and o.item in declined else o for o in outcomes]


def _declined(outcome: Outcome) -> Outcome:
    return _with_slot(outcome, WISHES, state="suppressed", suppressed_by=DECLINED)


def yield_elsewhere(outcomes: Sequence[Outcome], relations: Relations, received: Received) -> list[Outcome]:
    """Return the outcomes after the rules between items and benefits received elsewhere."""
    amounts = dict(sorted(received, key=repr))
    return [_against(o, relations, amounts) if o.state == "granted" else o for o in outcomes]


def _against(outcome: Outcome, relations: Relations, amounts: Mapping[str, int | None]) -> Outcome:
    """Return the outcome of a granted item after these rules. `amounts`: received benefits, fen per month if known."""
    blocks = [b for b in relations.blocked_elsewhere.get(outcome.item, ()) if b in amounts]
    if blocks:
        return _with_slot(outcome, ELSEWHERE, state="suppressed", suppressed_by=blocks[0])
    rivals = [b for b in relations.beaten_elsewhere.get(outcome.item, ()) if b in amounts]
    if not rivals or outcome.unset:  # without an amount there is nothing to compare
        return outcome
    return _compared(outcome, {benefit: amounts[benefit] for benefit in rivals})


def _compared(outcome: Outcome, rivals: Mapping[str, int | None]) -> Outcome:
    """Return the outcome after a comparison with benefits, of which only the higher amount is paid.

    `rivals`: by benefit the fen per month, if known.
    """
    known = {benefit: fen for benefit, fen in rivals.items() if fen is not None}
    most = max(known, key=known.__getitem__, default="")
    if known and known[most] >= (outcome.amount_fen_per_month or 0):
        return _with_slot(outcome, ELSEWHERE, state="suppressed", suppressed_by=most)
    if len(known) == len(rivals):
        return _with_slot(outcome, ELSEWHERE, state="choice_required", suppressed_by=most)
    nothing = dict.fromkeys(("amount_fen_per_month", "pay", "tier", "interval_days", "reverify_months"))
    return _with_slot(outcome, ELSEWHERE, state="unknown", missing_facts=("benefit_elsewhere",), **nothing)


def _with_slot(outcome: Outcome, slot: int, **fields: Any) -> Outcome:
    """Return the outcome with other fields, and with `slot` as a further circumstance on which it depends."""
    return msgspec.structs.replace(outcome, slots=tuple(sorted({*outcome.slots, slot})), **fields)
