"""The kinds of facts: their Chinese names, how facts of one kind follow each other in time, and the meaning of a
missing fact.

`one`: one value at a time; a later beginning ends the earlier value. `one_a_line`: one value at a time per line, such
as per benefit or item. `days`: every statement is about one day, and all are kept.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, get_args

from common.events.facts import Action, Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# Actions that need no value. A value sent with them is ignored: exchanges send the whole row with a flag.
WITHOUT_VALUE: Final[frozenset[Action]] = frozenset(("annulled", "ended"))


class KindRule(NamedTuple):
    """The rules that hold for every fact of one kind.

    `name_zh`: its word on all screens and in explanations. `absence`: the meaning of a missing fact where no coverage
    is declared; `false` means "no". Where coverage is declared and does not include the kind, `false` becomes `unknown`
    (see `common.events.coverage`). `line`: a function that returns the line of a value (`one_a_line` only).
    `from_required`: a statement needs `valid_from`."""

    name_zh: str
    holds: Literal["one", "one_a_line", "days"]
    absence: Literal["unknown", "false"]
    line: Callable[[Any], str] | None = None
    from_required: bool = False


def _lines(
    name_zh: str, field: str, absence: Literal["unknown", "false"] = "false", *, from_required: bool = False
) -> KindRule:
    """The rule of a kind with one value at a time per value of `field`."""
    return KindRule(name_zh, "one_a_line", absence, attrgetter(field), from_required)


RULES: Final[Mapping[Kind, KindRule]] = {
    "registration": KindRule("户籍登记", "one", "unknown"),
    "residence": KindRule("居住地", "one", "unknown"),
    "death": KindRule("死亡", "days", "false", from_required=True),
    "alive": KindRule("在世确认", "days", "unknown", from_required=True),
    "disability": KindRule("残疾人证", "one", "false"),
    "low_income": KindRule("困难认定", "one", "false"),
    "household": _lines("家庭户", "household"),
    "living_situation": KindRule("居住状况", "one", "false"),
    "special_family": KindRule("计划生育特殊家庭认定", "one", "false"),
    "merit": _lines("优抚或特殊贡献认定", "merit"),
    "ability_result": _lines("能力评估结果", "scale", "unknown"),  # a long-term-care grade and a level of GB/T 42195
    "benefit_elsewhere": _lines("其他部门待遇及其金额", "benefit"),
    "risk_incident": KindRule("风险事件", "days", "false", from_required=True),
    "hospital_stay": KindRule("住院", "one", "false"),  # a person is in one hospital at a time
    "contact": KindRule("联系方式", "one", "unknown"),
    "application": _lines("本人申请", "item", from_required=True),  # per item the last wish counts, from its day on
    "bank_account": KindRule("银行账户", "one", "unknown"),
    "identity_change": KindRule(
        "身份变更", "one_a_line", "unknown", lambda value: "" if value.new_number else value.same_as
    ),
}

FROM_REQUIRED: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.from_required)
ONE_DAY_KINDS: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.holds == "days")
LINE_OF: Final[Mapping[str, Callable[[Any], str]]] = {
    kind: rule.line for kind, rule in RULES.items() if rule.line is not None
}
