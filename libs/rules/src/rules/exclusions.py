"""Items that may not be had together. What gives way stays visible as suppressed, and so comes back by itself."""

from collections.abc import Sequence

import msgspec

from rules.outcome import Outcome
from rules.policy import Block, Exclusion


def apply_exclusions(outcomes: Sequence[Outcome], rules: Sequence[Exclusion]) -> list[Outcome]:
    """The outcomes with those suppressed that the rules exclude. Only what is granted excludes, and only what is
    granted is suppressed. Rules work in their order (`in_order`).
    """
    now = {outcome.item: outcome for outcome in outcomes}
    for rule in rules:
        for loser, winner in _losers(rule, now):
            now[loser] = msgspec.structs.replace(now[loser], state="suppressed", suppressed_by=winner)
    return list(now.values())


def in_order(rules: Sequence[Exclusion]) -> list[Exclusion]:
    """Blocks first, so that nothing yields to an item which is itself suppressed."""
    return sorted(rules, key=lambda rule: not isinstance(rule, Block))


def _losers(rule: Exclusion, now: dict[str, Outcome]) -> list[tuple[str, str]]:
    """(item that gives way, item it gives way to)."""
    rivals = [item for item in rule.items if item in now and now[item].state == "granted"]
    if isinstance(rule, Block):
        winner = next((item for item in rule.by if item in now and now[item].state == "granted"), None)
        return [(item, winner) for item in rivals if winner and item != winner]
    if len(rivals) < 2:
        return []
    best = max(rivals, key=lambda item: now[item].amount_fen_per_month or 0)  # the earlier named at equal amounts
    return [(item, best) for item in rivals if item != best]
