"""Write the Chinese sentence of an explanation."""

from collections.abc import Iterator, Sequence
from datetime import date

from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.wording import kinds_text
from rules.form.circumstances import monthly_text
from rules.form.items import DECLINED, named
from rules.form.names import list_name
from rules.form.policy import GROUPS
from rules.words.evidence import ConditionOutcome


def sentence_of(
    found: Applicable, outcome: Outcome | None, conditions: Sequence[ConditionOutcome], on: date, why_held: str
) -> str:
    """Return the sentence about an item. `outcome`: None if refused. `why_held`: the reason if money is suspended."""
    title, source = found.item.title, f"《{found.version.citation.title}》{found.version.citation.locator}"
    if outcome is None:
        return f"{on}，不符合{title}的条件：{_failed(conditions)}。依据{source}。"
    if outcome.state == "unknown":
        lacking = kinds_text(outcome.missing_facts)
        return f"{on}，暂不能判断是否享受{title}：缺少{lacking}{_unreported(found, outcome)}。依据{source}。"
    met = "，".join(_met(c) for c in conditions)
    details = "".join(_details(found, outcome, why_held))
    example = "（标准为示例）" if outcome.policy_status == "example" else ""
    return f"{on}，{met}，符合{title}的条件{details}。依据{source}{example}。"


def _failed(conditions: Sequence[ConditionOutcome]) -> str:
    failed = [f"未满足“{c.text}”{_but(c)}" for c in conditions if c.holds is False]
    return "；".join(failed) or "清单没有规定这种情形的标准"


def _details(found: Applicable, outcome: Outcome, why_held: str) -> Iterator[str]:
    """Yield parts of the sentence: amount, visits, and the reason if the item is not given."""
    if outcome.amount_fen_per_month is not None:
        yield f"，{monthly_text(outcome.amount_fen_per_month)}"
    if outcome.unset:
        yield f"；{_standard(found)}"
    if outcome.tier is not None:
        yield f"，{outcome.tier}档，每{outcome.interval_days}天至少一次"
    if outcome.suppressed_by == DECLINED:
        yield "；本人已声明放弃，重新申请即恢复"
    elif outcome.state == "suppressed":
        yield f"；因同时享受{title_of(outcome.suppressed_by or '')}而不发，后者停止时自动恢复"
    if outcome.state == "choice_required":
        other = f"已享受的{title_of(outcome.suppressed_by)}" if outcome.suppressed_by else "其他同类待遇"
        yield f"；与{other}只能享受一项，由本人选择"
    if outcome.state == "suspended":
        yield f"；{why_held}"


def title_of(item: str) -> str:
    return named(item) or item


def _standard(found: Applicable) -> str:
    """Return the office that sets the amount, or a text that the list sets none."""
    return found.version.standard or f"标准由当地制定，{list_name(found.jurisdiction)}没有规定金额"


def _unreported(found: Applicable, outcome: Outcome) -> str:
    """Return a note on the missing kinds that no source reports completely there; empty without such kinds."""
    kinds = kinds_text(kind for kind in outcome.missing_facts if kind in found.unreported)
    return f"（当地没有单位逐项报送{kinds}，没有记录不等于没有）" if kinds else ""


def _but(condition: ConditionOutcome) -> str:
    """Return a note on a failed condition: the person's value, or that no record exists; empty for a group."""
    if condition.code in GROUPS:
        return ""
    if condition.value:
        return f"（现为{condition.value}）"
    return "（没有这方面的记录，当地逐项报送，即视为没有）" if condition.absence == "told" else "（没有这方面的记录）"


def _met(condition: ConditionOutcome) -> str:
    """Return the text of a condition with the person's value."""
    value = condition.value
    if value and condition.code in GROUPS:
        return value
    return f"{condition.text}（{value}）" if value and value not in condition.text else condition.text
