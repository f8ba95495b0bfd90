"""Compares the platform's facts and decisions with the truth of a synthetic county."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from common.events.entitlement import Entitlement
from common.events.facts import Death, Disability, LivingSituation, LowIncome, Registration, Residence, SpecialFamily
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import Fact
from synth import Truth

Held = tuple[Any, ...]  # an entitlement, as `_without_history` returns it
TO_CHOOSE = "one of several"
COMPARED = (
    "birth_date",
    "hukou_division",
    "residence_division",
    "disability",
    "low_income",
    "support",
    "tags",
    "special_family",
    "died_on",
    "suspected",
)


def believed(facts: Sequence[Fact], on: date) -> dict[str, Any]:
    """Return the facts in force on a day, by the names in COMPARED. A death or suspicion counts on every day.

    Raises ValueError for two facts of another kind at once.
    """
    registration, home = _held(facts, "registration", on), _held(facts, "residence", on)
    certificate, income = _held(facts, "disability", on), _held(facts, "low_income", on)
    living, special = _held(facts, "living_situation", on), _held(facts, "special_family", on)
    death = death_of(facts)
    return {
        "birth_date": registration and registration.birth_date,
        "hukou_division": registration and registration.hukou_division,
        "residence_division": home and home.division,
        "disability": certificate and (certificate.class_, certificate.level),
        "low_income": income and income.category,
        "support": income and income.support,
        "tags": None if living is None else frozenset(living.tags),
        "special_family": special and special.only_child,
        "died_on": death.on if isinstance(death, Deceased) else None,
        "suspected": isinstance(death, Suspected),
    }


def true(truth: Truth) -> dict[str, Any]:
    """Return the truth by the names in COMPARED."""
    return {name: getattr(truth, name) for name in COMPARED}


def _held(facts: Sequence[Fact], kind: str, on: date) -> Any:
    """Return the value of the fact of a kind on a day; None without one. Raises ValueError for several."""
    found = [fact.value for fact in facts if fact.kind == kind and fact.holds_on(on)]
    if len(found) > 1:
        raise ValueError(f"two facts of {kind} at once")
    return found[0] if found else None


def deserved(truth: Truth, lists: Lists, on: date) -> set[Held]:
    """Return the entitlements that the lists give on a day to a person about whom exactly the truth is known."""
    decision = decide("", _facts_of(truth, on), (), lists)
    return in_force(decision.entitlements, on)


def in_force(entitlements: Sequence[Entitlement], on: date) -> set[Held]:
    """Return the entitlements on a day, without ids, days and other effects of history.

    If a person must choose between items, history decides which one came first. All of them get the state TO_CHOOSE.
    """
    held = [entitlement for entitlement in entitlements if _holds(entitlement, on)]
    rivals = _rivals(held)
    return {_without_history(entitlement, rivals) for entitlement in held}


def _holds(entitlement: Entitlement, on: date) -> bool:
    return entitlement.from_ <= on and (entitlement.to is None or on < entitlement.to)


def _rivals(held: Sequence[Entitlement]) -> set[str | None]:
    """Return the items between which the person must choose."""
    found: set[str | None] = set()
    for entitlement in held:
        if entitlement.state == "choice_required":
            found |= {entitlement.item, entitlement.suppressed_by}
    return found


def _without_history(entitlement: Entitlement, rivals: set[str | None]) -> Held:
    return (
        entitlement.item,
        entitlement.jurisdiction,
        TO_CHOOSE if entitlement.item in rivals else entitlement.state,
        entitlement.amount_fen_per_month,
        entitlement.tier,
        entitlement.interval_days,
        entitlement.division,
        entitlement.missing_facts,
    )


class _Value(NamedTuple):
    kind: str
    value: Any
    since: date | None = None


def _facts_of(truth: Truth, on: date) -> tuple[Fact, ...]:
    """The truth as facts, in the order of their kinds."""
    values = sorted([*_values_of(truth), *_deaths_of(truth, on)], key=lambda value: value.kind)
    return tuple(Fact(kind, value, since, None, kind, "truth", 1) for kind, value, since in values)


def _values_of(truth: Truth) -> Iterator[_Value]:
    yield _Value("registration", _registration_of(truth))
    if truth.residence_division:
        place: Any = truth.residence_place
        yield _Value("residence", Residence(division=truth.residence_division, place=place))
    if truth.disability:
        yield _Value("disability", Disability(class_=truth.disability[0], level=truth.disability[1]))
    if truth.low_income:
        category: Any = truth.low_income
        support: Any = truth.support
        yield _Value("low_income", LowIncome(category=category, support=support))
    if truth.tags is not None:
        tags: Any = tuple(sorted(truth.tags))
        yield _Value("living_situation", LivingSituation(tags=tags))
    if truth.special_family:
        only_child: Any = truth.special_family
        yield _Value("special_family", SpecialFamily(only_child=only_child))


def _registration_of(truth: Truth) -> Registration:
    return Registration(
        sex=truth.sex,  # type: ignore[arg-type]
        birth_date=truth.birth_date,
        hukou_division=truth.hukou_division,
        hukou_kind=truth.hukou_kind,  # type: ignore[arg-type]
    )


def _deaths_of(truth: Truth, on: date) -> Iterator[_Value]:
    if truth.died_on:
        yield _Value("death", Death(evidence="register_cancelled"), truth.died_on)
    elif truth.suspected:
        yield _Value("death", Death(evidence="reported"), on - timedelta(days=1))
