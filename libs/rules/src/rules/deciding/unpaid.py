"""List the money that a list sets but that is paid in a demonstration only, because its source is an example."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import msgspec

from rules.deciding.outcome import status_of
from rules.form.policy import ItemPolicy, PolicyList, Version
from rules.money.due import Example

WHY_UNPAID: Final[Mapping[Example, str]] = {
    "example_amount": "对象或标准为示例，没有文件依据，资格照常认定，资金不发放",
    "example_pay_rule": "起停月份等发放规则为示例，没有文件依据，资格照常认定，资金不发放",
}


class UnpaidItem(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a cash item whose money is not paid. It is in force over [`valid_from`, `valid_to`)."""

    item: str
    title: str
    valid_from: date
    valid_to: date | None
    reason: Example
    text: str


def unpaid_items(one: PolicyList) -> Iterator[UnpaidItem]:
    """Yield the versions whose money depends on an example, by item and day.

    `rules.money.due.example_of` makes the same test for a person's entitlement.
    """
    for _, item in sorted(one.items.items()):
        for version in item.versions:
            reason = _example_of(version)
            if reason is not None:
                yield _unpaid(item, version, reason)


def _unpaid(item: ItemPolicy, version: Version, reason: Example) -> UnpaidItem:
    return UnpaidItem(
        item=item.item,
        title=item.title,
        valid_from=version.valid_from,
        valid_to=version.valid_to,
        reason=reason,
        text=WHY_UNPAID[reason],
    )


def _example_of(version: Version) -> Example | None:
    """Return why a version's money is not paid; None if it has no money or everything is documented.

    `example_amount`: the version or its amount is an example. `example_pay_rule`: only the pay rule is one."""
    if version.amount is None or version.pay is None:
        return None
    if status_of(version) == "example":
        return "example_amount"
    return "example_pay_rule" if version.pay.status == "example" else None
