"""Explain the decision about an item on a day: every condition with its answer and its evidence."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec
from common.calendar import age_on
from common.events.ability import Ability
from common.events.entitlement import EntitlementState
from common.events.facts import Registration

from rules.deciding.changes import Change, changes_of
from rules.deciding.choices import Choice
from rules.deciding.decide import Decision, decide, state_on
from rules.deciding.exclusions import giving_way
from rules.deciding.lists import Lists
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.segment import Segment, held
from rules.deciding.wording import DOUBTED, SUSPECTED
from rules.facts.death import Deceased, death_of
from rules.facts.doubt import Doubt, held_by_doubt, is_held
from rules.facts.timeline import Fact
from rules.form.period import is_within
from rules.form.policy import Citation
from rules.form.situation import AGE, HUKOU, RESIDENCE, REST, Situation, with_value
from rules.words.evidence import ConditionOutcome, Evidence, FactRef, Seen, condition_outcomes, evidence_of
from rules.words.remedies import Remedy, remedies
from rules.words.sentence import sentence_of, title_of

ExplainedOutcome = EntitlementState | Literal["refused"]
_WITHOUT_HUKOU = "无户籍（持居住证件）"


class PolicyRef(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    title: str
    issuer: str
    date: date
    locator: str
    status: Literal["documented", "example"]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The explanation of an item on a day.

    `given_from`: if the item is not granted on that day, the first later day on which it is, if nothing else changes;
    None: never. `remedies`: of a refused or unknown item, the changes after which it would be given
    (`rules.words.remedies`).
    """

    item: str
    on: date
    outcome: ExplainedOutcome
    sentence: str
    conditions: tuple[ConditionOutcome, ...] = ()
    policy: PolicyRef | None = None
    given_from: date | None = None
    remedies: tuple[Remedy, ...] = ()


class _Day(NamedTuple):
    """The state of a person on a day. `key`: as in `Lists.outcomes`. `segment`: None before the first policy date."""

    on: date
    segment: Segment | None
    key: tuple[Any, ...]
    evidence: Evidence


class _Answer(NamedTuple):
    """The answer for an item. `outcome`: on the day; None: refused. `decision`: of the whole life. `why_held`: the
    Chinese reason if money is suspended."""

    outcome: Outcome | None
    decision: Decision
    why_held: str


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
    """Explain the answer of `decide` for an item on a day, with money held by a `doubt`. A refusal is explained too."""
    death = death_of(facts)
    if isinstance(death, Deceased) and on > death.on:
        return _after_death(item, on, death)
    day = _day(changes_of(facts, abilities, lists, death), lists, on)
    found = _applicable(item, day.segment)
    decision = decide("", facts, abilities, lists, choices=choices)
    if day.segment is None or found is None:
        return _not_listed(item, day, lists, _given_from(_doubted(decision, doubt), item, on))
    answer = _answer(item, day, day.segment, lists, decision, doubt)
    situation = _with_true_age(day.segment.situation(day.key[:-1]), facts, on)
    seen = Seen(situation, day.evidence, found.unreported, day.segment.where, on, lists.coverage)
    return _explanation(found, answer, seen, day, lists)


def _day(changes: Sequence[Change], lists: Lists, on: date) -> _Day:
    state, events = state_on(changes, on)
    segment = lists.segment(state[HUKOU], state[RESIDENCE], on)
    return _Day(on, segment, tuple(state[AGE : REST.stop + 1]), evidence_of(events))


def _applicable(item: str, segment: Segment | None) -> Applicable | None:
    return next((a for a in segment.applicable if a.item.item == item), None) if segment else None


def _after_death(item: str, on: date, death: Deceased) -> Explanation:
    refs = tuple(FactRef(event_id, "death") for event_id in death.event_ids)
    condition = ConditionOutcome(code="alive", text="健在", holds=False, value=death.on.isoformat(), facts=refs)
    sentence = f"已于{death.on}去世，自次日起终止。"
    return Explanation(item=item, on=on, outcome="refused", sentence=sentence, conditions=(condition,))


def _not_listed(item: str, day: _Day, lists: Lists, given_from: date | None) -> Explanation:
    """Return the refusal of an item that no list of the person has on that day, or that needs a hukou if the person has
    none."""
    title = title_of(item)
    follows = {one.items[item].follows for one in lists.by_area.values() if item in one.items}
    if day.segment is None or day.segment.hukou != () or "hukou" not in follows:
        sentence = f"{day.on}，当地清单没有{title}。"
        return Explanation(item=item, on=day.on, outcome="refused", sentence=sentence, given_from=given_from)
    sentence = f"{day.on}，{title}按户籍享受，本人没有户籍（持居住证件）。"
    refs = day.evidence.get(HUKOU, ())
    condition = ConditionOutcome(code="hukou_in", text="有户籍", holds=False, value=_WITHOUT_HUKOU, facts=refs)
    return Explanation(
        item=item, on=day.on, outcome="refused", sentence=sentence, conditions=(condition,), given_from=given_from
    )


def _answer(item: str, day: _Day, segment: Segment, lists: Lists, decision: Decision, doubt: Doubt | None) -> _Answer:
    """Return the answer for an item, after the person's choices and a doubt."""
    outcomes: Sequence[Outcome] | None = lists.outcomes(segment, day.key)
    if outcomes is None:  # the person may choose: the answer depends on all earlier days
        outcomes = _as_decided(segment.contenders(day.key), decision, day.on)
    outcome = next((o for o in outcomes if o.item == item), None)
    if outcome is None or outcome.state != "granted" or not is_held(decision.entitlements, item, day.on, doubt):
        return _Answer(outcome, _doubted(decision, doubt), SUSPECTED)
    return _Answer(held(outcome), _doubted(decision, doubt), DOUBTED)


def _doubted(decision: Decision, doubt: Doubt | None) -> Decision:
    """Return the decision with the money suspended that the doubt holds."""
    return decision._replace(entitlements=held_by_doubt(decision.entitlements, doubt))


def _as_decided(outcomes: Sequence[Outcome], decision: Decision, on: date) -> tuple[Outcome, ...]:
    """Return the outcomes of a day with the states that the decision of the whole life gives them."""
    that_day = {e.item: e for e in decision.entitlements if is_within(on, e.from_, e.to)}
    return tuple(giving_way(o, that_day[o.item].state, that_day[o.item].suppressed_by) for o in outcomes)


def _with_true_age(situation: Situation, facts: Sequence[Fact], on: date) -> Situation:
    """Return the situation with the person's true age, instead of the last age that a list names."""
    for fact in reversed(facts):
        if isinstance(fact.value, Registration):
            return with_value(situation, AGE, age_on(fact.value.birth_date, on))
    return situation


def _explanation(found: Applicable, answer: _Answer, seen: Seen, day: _Day, lists: Lists) -> Explanation:
    outcome, decision, why_held = answer
    assert day.segment is not None
    conditions = condition_outcomes(found, seen)
    item = found.item.item
    is_open = outcome is None or outcome.state == "unknown"
    return Explanation(
        item=item,
        on=day.on,
        outcome=outcome.state if outcome else "refused",
        sentence=sentence_of(found, outcome, conditions, day.on, why_held),
        conditions=conditions,
        policy=_policy(found, found.version.citation),
        given_from=None if outcome and outcome.state == "granted" else _given_from(decision, item, day.on),
        remedies=remedies(lists, day.segment, day.key, found, born_on=decision.birth_date, on=day.on)
        if is_open
        else (),
    )


def _given_from(decision: Decision, item: str, on: date) -> date | None:
    """Return the first later day on which the item is granted."""
    later = (e.from_ for e in decision.entitlements if e.item == item and e.state == "granted" and e.from_ > on)
    return min(later, default=None)


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
    """Return the citation of a version (`Entitlement.policy`); None if these lists do not have that version."""
    jurisdiction, _, rest = policy.partition("/")
    name, _, day = rest.partition("@")
    one = lists.by_area.get(jurisdiction)
    item = one.items.get(name) if one else None
    for version in item.versions if item else ():
        if item and version.valid_from.isoformat() == day:
            return _policy(Applicable(item, version, jurisdiction, False), version.citation)
    return None
