"""Why somebody is, or is not, entitled to an item on a day: every condition with its answer and its evidence."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from common.calendar import age_on
from common.events.ability import Ability
from common.events.entitlement import EntitlementState
from common.events.facts import Registration

from rules.deciding.changes import changes_of
from rules.deciding.choices import Choice
from rules.deciding.conditions import AGE, HUKOU, REST, TEST, World, evaluate, slots_read
from rules.deciding.decide import Decision, decide, state_on
from rules.deciding.exclusions import giving_way
from rules.deciding.lists import Lists, Slab, held
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.wording import DOUBTED, KIND_NAMES, SUSPECTED, condition_text, known_text
from rules.facts.coverage import ANSWERING
from rules.facts.doubt import Doubt, held_by_doubt, is_held
from rules.facts.timeline import Deceased, Fact, death_of
from rules.form.items import DECLINED, named
from rules.form.policy import GROUPS, NATION, Citation, Condition
from rules.proof.shortfall import list_name
from rules.words.remedies import Remedy, remedies

ExplainedOutcome = EntitlementState | Literal["refused"]
Absence = Literal["told", "untold"]
Evidence = dict[int, "tuple[FactRef, ...]"]


class FactRef(msgspec.Struct, frozen=True):
    event_id: str
    kind: str


class ConditionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """`holds`: None where a missing fact decides. `value`: what is known of the person there. `absence`: where nothing
    is, whether somebody tells every change of the kind there, so that it is an answer; None where nobody has ever
    declared what is told, or the kind never answers by its absence."""

    code: str
    text: str
    holds: bool | None
    value: str | None = None
    facts: tuple[FactRef, ...] = ()
    absence: Absence | None = None


class PolicyRef(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    title: str
    issuer: str
    date: date
    locator: str
    status: Literal["documented", "example"]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`given_from`: of what is not given on that day, the first later day on which it is, if nothing else changes.
    `remedies`: what would have to change (`rules.words.remedies`)."""

    item: str
    on: date
    outcome: ExplainedOutcome
    sentence: str
    conditions: tuple[ConditionOutcome, ...] = ()
    policy: PolicyRef | None = None
    given_from: date | None = None
    remedies: tuple[Remedy, ...] = ()


def explain(
    facts: Sequence[Fact],
    abilities: Sequence[Ability],
    lists: Lists,
    item: str,
    on: date,
    *,
    choices: Sequence[Choice] = (),
    doubt: Doubt | None = None,
) -> Explanation:
    """Explains `decide` and a `doubt` for an item on a day. A refusal is explained like a grant."""
    death = death_of(facts)
    if isinstance(death, Deceased) and on > death.on:
        gone = tuple(FactRef(e, "death") for e in death.event_ids)
        condition = ConditionOutcome(code="alive", text="健在", holds=False, value=death.on.isoformat(), facts=gone)
        sentence = f"已于{death.on}去世，自次日起终止。"
        return Explanation(item=item, on=on, outcome="refused", sentence=sentence, conditions=(condition,))
    state, events = state_on(changes_of(facts, abilities, lists, death), on)
    slab = lists.slab(state[0], state[1], on)
    found = next((a for a in slab.applicable if a.item.item == item), None) if slab else None
    if slab is None or found is None:
        return _not_listed(item, on, slab, lists, _evidence(events))
    world = _true_age(slab.world(state[AGE : REST.stop]), facts, on)
    key = tuple(state[AGE : REST.stop + 1])
    outcomes = lists.outcomes(slab, key)
    decision = decide("", facts, abilities, lists, choices=choices)
    if outcomes is None:  # the person may choose: what they have comes from all days before
        outcomes = _as_decided(slab.contenders(key), decision, on)
    outcome = next((o for o in outcomes if o.item == item), None)
    why_held = SUSPECTED
    if outcome is not None and outcome.state == "granted" and is_held(decision.entitlements, item, on, doubt):
        outcome, why_held = held(outcome), DOUBTED
        decision = decision._replace(entitlements=held_by_doubt(decision.entitlements, doubt))
    seen = _Seen(world, _evidence(events), found.untold, partial(lists.coverage.told, where=slab.where, day=on))
    conditions = (*_where(found, seen), *_conditions(found.version.conditions, seen))
    is_open = outcome is None or outcome.state == "unknown"
    return Explanation(
        item=item,
        on=on,
        outcome=outcome.state if outcome else "refused",
        sentence=_sentence(found, outcome, conditions, on, why_held),
        conditions=conditions,
        policy=_policy(found, found.version.citation),
        given_from=None if outcome and outcome.state == "granted" else _given_from(decision, item, on),
        remedies=remedies(lists, slab, key, found, born_on=decision.birth_date, on=on) if is_open else (),
    )


def _not_listed(item: str, on: date, slab: Slab | None, lists: Lists, evidence: Evidence) -> Explanation:
    """No list that counts for the person has the item: because none there has it, or because it goes by the hukou and
    the person has none."""
    sentence = f"{on}，当地清单没有{_title(item)}。"
    follows = {one.items[item].follows for one in lists.by_area.values() if item in one.items}
    if slab is None or slab.hukou != () or "hukou" not in follows:
        return Explanation(item=item, on=on, outcome="refused", sentence=sentence)
    sentence = f"{on}，{_title(item)}按户籍享受，本人没有户籍（持居住证件）。"
    condition = ConditionOutcome(
        code="hukou_in", text="有户籍", holds=False, value="无户籍（持居住证件）", facts=evidence.get(HUKOU, ())
    )
    return Explanation(item=item, on=on, outcome="refused", sentence=sentence, conditions=(condition,))


def _given_from(decision: Decision, item: str, on: date) -> date | None:
    later = (e.from_ for e in decision.entitlements if e.item == item and e.state == "granted" and e.from_ > on)
    return min(later, default=None)


def _title(item: str) -> str:
    return named(item) or item


def _true_age(world: World, facts: Sequence[Fact], on: date) -> World:
    """The age itself instead of the last birthday that a list names."""
    for fact in reversed(facts):
        if isinstance(fact.value, Registration):
            return world._replace(age=age_on(fact.value.birth_date, on))
    return world


def _as_decided(outcomes: Sequence[Outcome], decision: Decision, on: date) -> tuple[Outcome, ...]:
    """The outcomes of a day with the states that the whole life gives them."""
    that_day = {e.item: e for e in decision.entitlements if e.from_ <= on and (e.to is None or on < e.to)}
    return tuple(giving_way(o, that_day[o.item].state, that_day[o.item].suppressed_by) for o in outcomes)


def _evidence(events: Sequence[Any]) -> Evidence:
    """For each place of the world the statements that filled it."""
    kinds = {test.slot: test.kind for test in TEST.values()}
    said = {slot: e if isinstance(e, tuple) else (e,) for slot, e in enumerate(events) if e and slot in kinds}
    return {slot: tuple(FactRef(e, kinds[slot]) for e in ids) for slot, ids in said.items()}


class _Seen(NamedTuple):
    """What a condition is held against. `told`: of a kind whether every change of it is told there."""

    world: World
    evidence: Evidence
    untold: frozenset[str]
    told: Callable[[str], bool | None]


def _where(found: Applicable, seen: _Seen) -> Iterator[ConditionOutcome]:
    """The place by which a list counts for the person is a condition too, though no file spells it out."""
    if found.jurisdiction == NATION and not found.presumed:
        return
    areas, by_hukou = (found.jurisdiction,), found.item.follows == "hukou"
    condition = Condition(hukou_in=areas) if by_hukou else Condition(residence_in=areas)
    yield _condition(condition, seen)


def _conditions(top: Condition, seen: _Seen) -> tuple[ConditionOutcome, ...]:
    return tuple(_condition(part, seen) for part in top.all_of or (top,))


def _condition(condition: Condition, seen: _Seen) -> ConditionOutcome:
    refs = (ref for slot in sorted(slots_read(condition)) for ref in seen.evidence.get(slot, ()))
    value = _value(condition, seen)
    return ConditionOutcome(
        code=condition.test,
        text=condition_text(condition),
        holds=evaluate(condition, seen.world, seen.untold),
        value=value,
        facts=tuple(dict.fromkeys(refs)),
        absence=_absence(condition, seen) if value is None else None,
    )


def _absence(condition: Condition, seen: _Seen) -> Absence | None:
    """What the list itself says of absence stands, wherever it is told or not."""
    test = TEST.get(condition.test)
    if test is None or condition.absent_means is not None or test.kind not in ANSWERING:
        return None
    told = seen.told(test.kind)
    return None if told is None else "told" if told else "untold"


def _value(condition: Condition, seen: _Seen) -> str | None:
    """What is known where a test looks; of a group what is known where it holds."""
    if condition.test not in GROUPS:
        return known_text(condition, seen.world)
    children = getattr(condition, condition.test)
    known = [_value(child, seen) for child in children if evaluate(child, seen.world, seen.untold)]
    return "，".join(dict.fromkeys(text for text in known if text)) or None


def _sentence(
    found: Applicable, outcome: Outcome | None, conditions: Sequence[ConditionOutcome], on: date, why_held: str
) -> str:
    title, source = found.item.title, f"《{found.version.citation.title}》{found.version.citation.locator}"
    if outcome is None:
        failed = [f"未满足“{c.text}”{_but(c)}" for c in conditions if c.holds is False]
        why = "；".join(failed) or "清单没有规定这种情形的标准"
        return f"{on}，不符合{title}的条件：{why}。依据{source}。"
    if outcome.state == "unknown":
        lacking = "、".join(KIND_NAMES.get(kind, kind) for kind in outcome.missing_facts)
        return f"{on}，暂不能判断是否享受{title}：缺少{lacking}{_untold(found, outcome)}。依据{source}。"
    met = "，".join(_met(c) for c in conditions)
    sentence = f"{on}，{met}，符合{title}的条件"
    if outcome.amount_fen_per_month is not None:
        yuan, fen = divmod(outcome.amount_fen_per_month, 100)
        sentence += f"，每月{yuan}.{fen:02d}元"
    if outcome.unset:
        sentence += f"；{_standard(found)}"
    if outcome.tier is not None:
        sentence += f"，{outcome.tier}档，每{outcome.interval_days}天至少一次"
    if outcome.suppressed_by == DECLINED:
        sentence += "；本人已声明放弃，重新申请即恢复"
    elif outcome.state == "suppressed":
        sentence += f"；因同时享受{_title(outcome.suppressed_by or '')}而不发，后者停止时自动恢复"
    if outcome.state == "choice_required":
        other = f"已享受的{_title(outcome.suppressed_by)}" if outcome.suppressed_by else "其他同类待遇"
        sentence += f"；与{other}只能享受一项，由本人选择"
    if outcome.state == "suspended":
        sentence += f"；{why_held}"
    example = "（标准为示例）" if outcome.policy_status == "example" else ""
    return f"{sentence}。依据{source}{example}。"


def _standard(found: Applicable) -> str:
    """Who says how much, where the list that says who does not."""
    return found.version.standard or f"标准由当地制定，{list_name(found.jurisdiction)}没有规定金额"


def _untold(found: Applicable, outcome: Outcome) -> str:
    """Which of the missing facts nobody would tell there, so that their absence is no answer."""
    kinds = "、".join(KIND_NAMES.get(kind, kind) for kind in outcome.missing_facts if kind in found.untold)
    return f"（当地没有单位逐项报送{kinds}，没有记录不等于没有）" if kinds else ""


def _but(condition: ConditionOutcome) -> str:
    if condition.code in GROUPS:
        return ""
    if condition.value:
        return f"（现为{condition.value}）"
    return "（没有这方面的记录，当地逐项报送，即视为没有）" if condition.absence == "told" else "（没有这方面的记录）"


def _met(condition: ConditionOutcome) -> str:
    value = condition.value
    if value and condition.code in GROUPS:
        return value
    return f"{condition.text}（{value}）" if value and value not in condition.text else condition.text


def _policy(found: Applicable, citation: Citation) -> PolicyRef:
    return PolicyRef(
        version=found.policy,
        title=citation.title,
        issuer=citation.issuer,
        date=citation.date,
        locator=citation.locator,
        status=found.status,
    )


def policy_ref(lists: Lists, policy: str) -> PolicyRef | None:
    """The citation behind `Entitlement.policy`; None when these lists do not hold that version."""
    jurisdiction, _, rest = policy.partition("/")
    name, _, day = rest.partition("@")
    one = lists.by_area.get(jurisdiction)
    item = one.items.get(name) if one else None
    for version in item.versions if item else ():
        if item and version.valid_from.isoformat() == day:
            return _policy(Applicable(item, version, jurisdiction, False), version.citation)
    return None
