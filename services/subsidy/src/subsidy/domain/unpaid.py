"""Entitlements that are not paid because only an example gives the amount or the pay rule."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from common.events import Entitlement
from rules.money.due import Due, Example


class Unpaid(NamedTuple):
    """`months` service months from `first_month` to `last_month` (first days), each of `amount_fen_per_month`.

    `policy`: id of the policy version that gives the amount, `<area>/<item>@<first day>`.
    """

    item: str
    jurisdiction: str
    first_month: date
    last_month: date
    months: int
    amount_fen_per_month: int
    reason: Example
    policy: str


def unpaid(lines: Iterable[Due], entitlements: Sequence[Entitlement]) -> list[Unpaid]:
    """The barred lines, one row for all months that differ in nothing else."""
    policies: Mapping[str, str] = {e.entitlement_id: e.policy for e in entitlements}
    found: dict[tuple[str, str, int, Example, str], list[date]] = {}
    for line in lines:
        if line.state == "barred" and line.rests_on is not None:
            key = (line.item, line.jurisdiction, line.amount_fen, line.rests_on, policies[line.entitlement_id])
            found.setdefault(key, []).append(line.service_month)
    return [
        Unpaid(item, area, min(months), max(months), len(months), fen, reason, policy)
        for (item, area, fen, reason, policy), months in found.items()
    ]
