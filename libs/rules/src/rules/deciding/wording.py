"""Write conditions and the values of a person in Chinese that an official and a resident understand."""

from collections.abc import Iterable
from typing import Final

from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import GROUPS, Condition
from rules.form.situation import KIND_NAMES, TEST, Situation

SUSPECTED: Final = "因有未核实的死亡信息，核实前暂缓发放"
DOUBTED: Final = "身份变更待核实，暂缓发放"
DUE_STATES: Final = {"due": "应发", "held": "暂缓发放", "barred": "不予发放"}
_FUNDS: Final = {
    "county": "县级财政",
    "district": "区级财政",
    "city": "市级财政",
    "province": "省级财政",
    "nation": "中央财政",
}
_GROUP_TEXT: Final = {"all_of": "同时符合：{}", "any_of": "符合下列之一：{}", "none_of": "不属于下列情形：{}"}


def fund_name(fund: str) -> str:
    """Return the Chinese name of the fiscal level that pays, or the given text if it is no code of a level."""
    return _FUNDS.get(fund, fund)


def kinds_text(kinds: Iterable[str]) -> str:
    """Return the Chinese names of kinds of facts, separated by `、`."""
    return "、".join(KIND_NAMES.get(kind, kind) for kind in kinds)


def condition_text(condition: Condition) -> str:
    name = condition.test
    if name in GROUPS:
        return _GROUP_TEXT[name].format("；".join(_inner(child) for child in condition.children))
    return TEST[name].text(getattr(condition, name))


def _inner(condition: Condition) -> str:
    """Return the text of a condition inside a group. An inner group is in brackets."""
    text = condition_text(condition)
    return f"（{text}）" if condition.test in GROUPS else text


def known_text(condition: Condition, situation: Situation) -> str | None:
    """Return in Chinese the value that a test reads. None for a group, and if there is no value."""
    test = TEST.get(condition.test)
    if test is None or situation[test.slot] is None:
        return None
    return CIRCUMSTANCES[test.slot].text(situation[test.slot])


def value_text(slot: int, value: object) -> str:
    """Return in Chinese the value of a circumstance with the name of its kind of fact."""
    row = CIRCUMSTANCES[slot]
    return f"{row.fact.name}为{row.text(value)}"
