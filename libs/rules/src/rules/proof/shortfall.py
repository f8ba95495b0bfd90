"""How one answer of a list is less than another's, and how that is said to an official."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from common.events.entitlement import PayTerms

from rules.deciding.conditions import AGE, HUKOU, RESIDENCE, TEST, World
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.wording import KIND_NAMES, area_name, known_text
from rules.form.bounds import NARROWINGS, Narrowing
from rules.form.items import named
from rules.form.policy import NATION, Condition

_CLOSER: Final = {"any": 0, "in_person_or_call": 1, "in_person": 2}  # modes of visiting
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
    """What counts for somebody under a set of lists, and what it says of them (None: refused)."""

    applicable: Applicable | None
    outcome: Outcome | None

    @property
    def state(self) -> str:
        return self.outcome.state if self.outcome else "refused"


def narrowings(parent: Side, child: Side, *, floor: bool = False) -> Iterator[Narrowing]:
    """Every way in which the child's answer is less than the parent's. A floor says nothing of visits and pay terms.

    What is unknown is neither yes nor no, it is a question to the departments: whom the parent grants, the child must
    grant without asking more; whom the parent asks about, the child must at least ask about, or that person is missed.
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
        if (has.amount_fen_per_month or 0) < (had.amount_fen_per_month or 0) or (floor and has.unset):
            yield "amount_lower"
        if not floor:
            yield from _weaker(parent, child, had, has)


def _weaker(parent: Side, child: Side, had: Outcome, has: Outcome) -> Iterator[Narrowing]:
    if had.interval_days is not None and (has.interval_days is None or has.interval_days > had.interval_days):
        yield "visits_rarer"
    if had.tier is not None and _CLOSER[_mode(child)] < _CLOSER[_mode(parent)]:
        yield "visit_mode_weaker"
    if had.pay and has.pay and any(_weaker_pay(had.pay, has.pay)):
        yield "pay_weaker"


def _weaker_pay(had: PayTerms, has: PayTerms) -> Iterator[str]:
    """The terms that are worse; from which fund it is paid is nobody's loss."""
    for term, better in _PAY.items():
        if getattr(had, term) == better != getattr(has, term):
            yield term


def _mode(side: Side) -> str:
    assert side.applicable
    assert side.outcome
    return next(t.mode for t in side.applicable.version.tiers if t.tier == side.outcome.tier)


def describe(side: Side) -> str:
    """What a list gives, in a few words."""
    outcome = side.outcome
    if side.applicable is None:
        return NARROWINGS["not_offered"]
    if outcome is None:
        return NARROWINGS["refused"]
    if outcome.state == "unknown":
        return "还要核实" + "、".join(KIND_NAMES.get(kind, kind) for kind in outcome.missing_facts)
    if outcome.state != "granted":
        return f"因同时享受{named(outcome.suppressed_by) or outcome.suppressed_by}而不发"
    said = ["享受"]
    if outcome.amount_fen_per_month is not None:
        yuan, fen = divmod(outcome.amount_fen_per_month, 100)
        said.append(f"每月{yuan}.{fen:02d}元")
    if outcome.unset:
        said.append("没有规定金额")
    if outcome.tier is not None:
        said.append(f"{outcome.tier}档，每{outcome.interval_days}天至少一次")
    if outcome.pay:
        said.append("、".join(_PAY_TEXT[term, getattr(outcome.pay, term)] for term in _PAY))
    return "，".join(said)


def list_name(area: str) -> str:
    return "国家清单" if area == NATION else f"{area_name(area)}清单"


def person_text(world: World, places: Sequence[str | None], tests: Iterable[Condition]) -> str:
    """Who this is, as far as anything that matters is known. `places`: divisions of hukou and of residence."""
    said = [f"{what}{area_name(place)}" for what, place in zip(("户籍在", "居住在"), places, strict=True) if place]
    seen: set[int] = {HUKOU, RESIDENCE}
    for test in tests:
        slot = TEST[test.test].slot
        if slot not in seen and (text := known_text(test, world)):
            seen.add(slot)
            said.append(f"{text}周岁" if slot == AGE else text)
    return "、".join(said)


def known_of(world: World, places: Sequence[str | None]) -> dict[str, Any]:
    """The parts of a world that are known, by name; places as divisions."""
    plain = world._replace(hukou=places[0], residence=places[1])  # type: ignore[arg-type]
    known = {name: value for name, value in plain._asdict().items() if value is not None}
    return {name: sorted(value, key=repr) if isinstance(value, frozenset) else value for name, value in known.items()}
