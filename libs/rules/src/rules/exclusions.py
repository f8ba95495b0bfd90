"""Items that may not be had together. What gives way stays visible as suppressed, and so comes back by itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from rules.policy import Block, Exclusion

if TYPE_CHECKING:
    from rules.lists import Outcome


def apply_exclusions(outcomes: Sequence["Outcome"], rules: Sequence[Exclusion]) -> list["Outcome"]:
    """The outcomes with those suppressed that the rules exclude; blocks first, so that nothing yields to an item
    which is itself suppressed. Only what is granted excludes, and only what is granted is suppressed."""
    now = {outcome.item: outcome for outcome in outcomes}
    for rule in sorted(rules, key=lambda r: not isinstance(r, Block)):
        granted = [o for o in now.values() if o.state == "granted"]
        for loser, winner in _losers(rule, granted):
            now[loser] = msgspec.structs.replace(now[loser], state="suppressed", suppressed_by=winner)
    return list(now.values())


def _losers(rule: Exclusion, granted: Sequence["Outcome"]) -> list[tuple[str, str]]:
    """(item that gives way, item it gives way to)."""
    names = {o.item for o in granted}
    if isinstance(rule, Block):
        winner = next((item for item in rule.by if item in names), None)
        return [(item, winner) for item in rule.items if winner and item in names and item != winner]
    amounts = {o.item: o.amount_fen_per_month or 0 for o in granted}
    rivals = [item for item in rule.items if item in names]
    if not rivals:
        return []
    best = max(rivals, key=lambda item: amounts[item])  # the earlier named at equal amounts
    return [(item, best) for item in rivals if item != best]
