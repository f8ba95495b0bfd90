"""The bounds of a list: the floors that lists above demand, and the deviations that are allowed."""

from datetime import date
from typing import Annotated, Final, Literal

from common.events.entitlement import ItemKind
from common.patterns import ITEM, exact
from msgspec import Meta

from rules.form.cited import Citation, Status, Strict, Text
from rules.form.condition_form import Condition, Fen

# The ways in which a list can give less than the lists above it, with their Chinese names.
NARROWINGS = {
    "not_offered": "没有这个项目",
    "refused": "不符合条件",
    "asks_more": "还要先核实别的情况才给",
    "not_asked": "本应先核实情况，却直接不给",
    "amount_lower": "金额更低",
    "visits_rarer": "探访更稀",
    "visit_mode_weaker": "探访方式更弱",
    "pay_weaker": "发放条件更差",
    "kind_differs": "补贴与服务不能相抵",
    "suppressed": "被本地的衔接规则抑制",
}
EXAMPLE_SIGNER: Final = "示例"
Narrowing = Literal[
    "not_offered",
    "refused",
    "asks_more",
    "not_asked",
    "amount_lower",
    "visits_rarer",
    "visit_mode_weaker",
    "pay_weaker",
    "kind_differs",
    "suppressed",
]


class Floor(Strict, frozen=True, kw_only=True):
    """The least that every list below must grant over [`valid_from`, `valid_to`): to which persons, and how much.

    The list that demands it sets no standard of its own."""

    item: Annotated[str, Meta(pattern=exact(ITEM))]
    kind: ItemKind
    follows: Literal["hukou", "residence"]
    valid_from: date
    valid_to: date | None = None
    status: Status
    citation: Citation
    conditions: Condition
    amount_fen_min: Fen = 0
    note: Text | None = None


class Deviation(Strict, frozen=True, kw_only=True):
    """A known narrowing that is allowed on the days of [`valid_from`, `valid_to`).

    `narrows`: the allowed ways. `people`: the persons whom it may concern (None: all). `clause`: the text that allows
    it. `signer`: the person who answers for it. A deviation that is an example (`is_example`) counts in a demonstration
    only."""

    item: Annotated[str, Meta(pattern=exact(ITEM))]
    narrows: Annotated[tuple[Narrowing, ...], Meta(min_length=1)]
    people: Condition | None = None
    clause: Text
    signer: Text
    reason: Text
    status: Status
    valid_from: date
    valid_to: date | None = None

    def __post_init__(self) -> None:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"the deviation for {self.item} ends before it begins")

    @property
    def is_example(self) -> bool:
        """True if its status is `example`, or if its signer is marked as an example (`示例：…`)."""
        return self.status == "example" or self.signer.startswith(EXAMPLE_SIGNER)
