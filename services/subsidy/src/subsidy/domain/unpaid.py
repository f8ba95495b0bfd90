"""List the entitlements that are not paid because only an example gives the amount or the pay rule."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from common.events import Entitlement
from rules.money.due import Due, Example


class Unpaid(NamedTuple):
    """An unpaid amount of `months` service months from `first_month` to `last_month` (first days), perhaps with gaps.

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
    """Return the barred dues as rows. Months that agree in all other fields share one row."""
    policies = {e.entitlement_id: e.policy for e in entitlements}
    months: dict[_Kind, list[date]] = {}
    for line in lines:
        if line.state == "barred" and line.rests_on is not None:
            kind = _Kind(line.item, line.jurisdiction, line.amount_fen, line.rests_on, policies[line.entitlement_id])
            months.setdefault(kind, []).append(line.service_month)
    return [kind.row(of_kind) for kind, of_kind in months.items()]


class _Kind(NamedTuple):
    """The fields in which the months of one row agree."""

    item: str
    jurisdiction: str
    amount_fen_per_month: int
    reason: Example
    policy: str

    def row(self, months: Sequence[date]) -> Unpaid:
        return Unpaid(first_month=min(months), last_month=max(months), months=len(months), **self._asdict())
