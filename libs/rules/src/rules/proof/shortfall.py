"""Find the ways in which one answer gives less than another (narrowings), and describe answers in Chinese.

The parent is the list above, the child is the compared list.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from common.events.entitlement import PayTerms

from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.wording import kinds_text, known_text
from rules.form.bounds import NARROWINGS, Narrowing
from rules.form.circumstances import CIRCUMSTANCES, monthly_text
from rules.form.items import named
from rules.form.names import area_name
from rules.form.policy import Condition
from rules.form.situation import AGE, HUKOU, RESIDENCE, TEST, Situation, with_value

_CLOSER: Final = {"any": 0, "in_person_or_call": 1, "in_person": 2}  # modes of visits
_PAY: Final = {"start": "same_month", "stop": "next_month", "band_change": "same_month", "when": "advance"}
_PAY_TEXT: Final = {
    ("start", "same_month"): "当月起发",
    ("start", "next_month"): "次月起发",
    ("stop", "same_month"): "当月停发",
    ("stop", "next_month"): "次月停发",
    ("band_change", "same_month"): "当月调档",
    ("band_change", "next_month"): "次月调档",
    ("when", "advance"): "预发下月",
    ("when", "arrears"): "发放当月",
}


class Side(NamedTuple):
    """The version that counts for a person under a set of lists, and its answer (None: refused)."""

    applicable: Applicable | None
    outcome: Outcome | None

    @property
    def state(self) -> str:
        return self.outcome.state if self.outcome else "refused"


def narrowings(parent: Side, child: Side, *, floor: bool = False) -> Iterator[Narrowing]:
    """Yield every way in which the child's answer gives less than the parent's. A floor sets no visits or pay terms.

    The state `unknown` means that the platform asks departments for facts. If the parent grants, the child must grant
    without further questions. If the parent asks, the child must at least ask, or the platform misses this person.
    """
    had, has = parent.outcome, child.outcome
    if had is None:
        return
    if child.applicable is None:
        yield "not_offered"
    elif had.state == "unknown":
        if has is None:
            yield "not_asked"
    elif has is None:
        yield "refused"
    elif has.state == "unknown":
        yield "asks_more"
    elif had.kind != has.kind:
        yield "kind_differs"
    else:
        if _lower_amount(had, has) or (floor and has.unset):
            yield "amount_lower"
        if not floor:
            yield from _weaker(parent, child, had, has)


def _lower_amount(had: Outcome, has: Outcome) -> bool:
    return (has.amount_fen_per_month or 0) < (had.amount_fen_per_month or 0)


def _weaker(parent: Side, child: Side, had: Outcome, has: Outcome) -> Iterator[Narrowing]:
    """Yield the narrowings of visits and of pay terms."""
    if had.interval_days is not None and (has.interval_days is None or has.interval_days > had.interval_days):
        yield "visits_rarer"
    if had.tier is not None and _CLOSER[_mode(child)] < _CLOSER[_mode(parent)]:
        yield "visit_mode_weaker"
    if had.pay and has.pay and _weaker_pay(had.pay, has.pay):
        yield "pay_weaker"


def _weaker_pay(had: PayTerms, has: PayTerms) -> bool:
    """Whether any pay term is worse. The fund makes no difference to the person."""
    return any(getattr(had, term) == better != getattr(has, term) for term, better in _PAY.items())


def _mode(side: Side) -> str:
    assert side.applicable
    assert side.outcome
    return next(t.mode for t in side.applicable.version.tiers if t.tier == side.outcome.tier)


def describe(side: Side) -> str:
    """Return the answer of a list in a few Chinese words."""
    outcome = side.outcome
    if side.applicable is None:
        return NARROWINGS["not_offered"]
    if outcome is None:
        return NARROWINGS["refused"]
    if outcome.state == "unknown":
        return f"还要核实{kinds_text(outcome.missing_facts)}"
    if outcome.state != "granted":
        return f"因同时享受{named(outcome.suppressed_by) or outcome.suppressed_by}而不发"
    return _granted_text(outcome)


def _granted_text(outcome: Outcome) -> str:
    parts = ["享受"]
    if outcome.amount_fen_per_month is not None:
        parts.append(monthly_text(outcome.amount_fen_per_month))
    if outcome.unset:
        parts.append("没有规定金额")
    if outcome.tier is not None:
        parts.append(f"{outcome.tier}档，每{outcome.interval_days}天至少一次")
    if outcome.pay:
        parts.append("、".join(_PAY_TEXT[term, getattr(outcome.pay, term)] for term in _PAY))
    return "，".join(parts)


def person_text(situation: Situation, places: Sequence[str | None], tests: Iterable[Condition]) -> str:
    """Return in Chinese the places of a person and all values that a test reads.

    `places`: divisions of hukou and of residence.
    """
    parts = [f"{at}{area_name(place)}" for at, place in zip(("户籍在", "居住在"), places, strict=True) if place]
    seen: set[int] = {HUKOU, RESIDENCE}
    for test in tests:
        slot = TEST[test.test].slot
        if slot not in seen and (text := known_text(test, situation)):
            seen.add(slot)
            parts.append(f"{text}周岁" if slot == AGE else text)
    return "、".join(parts)


def known_of(situation: Situation, places: Sequence[str | None]) -> dict[str, Any]:
    """Return the known values by name of their circumstance. `places`: divisions of hukou and of residence."""
    hukou, residence = places
    plain = with_value(with_value(situation, HUKOU, hukou), RESIDENCE, residence)
    known = {row.name: value for row, value in zip(CIRCUMSTANCES, plain, strict=True) if value is not None}
    return {name: sorted(value, key=repr) if isinstance(value, frozenset) else value for name, value in known.items()}
