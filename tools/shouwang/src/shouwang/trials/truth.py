"""What the platform concluded, held against the world that the sources told of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from common.events.entitlement import Entitlement
from common.events.facts import Death, Disability, LivingSituation, LowIncome, Registration, Residence, SpecialFamily
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import Fact
from synth import Truth

Held = tuple[Any, ...]
TO_CHOOSE = "one of several"


def believed(facts: Sequence[Fact], on: date) -> dict[str, Any]:
    """The facts in force on a day, in the terms of the truth. Raises ValueError for two facts of a kind at once."""
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
    """The same of the truth."""
    return {
        "birth_date": truth.birth_date,
        "hukou_division": truth.hukou_division,
        "residence_division": truth.residence_division,
        "disability": truth.disability,
        "low_income": truth.low_income,
        "support": truth.support,
        "tags": truth.tags,
        "special_family": truth.special_family,
        "died_on": truth.died_on,
        "suspected": truth.suspected,
    }


def _held(facts: Sequence[Fact], kind: str, on: date) -> Any:
    found = [fact.value for fact in facts if fact.kind == kind and fact.holds_on(on)]
    if len(found) > 1:
        raise ValueError(f"two facts of {kind} at once")
    return found[0] if found else None


def deserved(truth: Truth, lists: Lists, on: date) -> set[Held]:
    """What the law gives on a day to somebody of whom the truth is all there is to know."""
    decision = decide("", _facts_of(truth, on), (), lists)
    return in_force(decision.entitlements, on)


def in_force(entitlements: Sequence[Entitlement], on: date) -> set[Held]:
    """What is held on a day, without the ids and days that history leaves behind. Nor which of several items, of which
    one may be had, was there first: all of them are `TO_CHOOSE`."""
    held = [e for e in entitlements if e.from_ <= on and (e.to is None or on < e.to)]
    rivals = {item for e in held if e.state == "choice_required" for item in (e.item, e.suppressed_by)}
    return {
        (
            e.item,
            e.jurisdiction,
            TO_CHOOSE if e.item in rivals else e.state,
            e.amount_fen_per_month,
            e.tier,
            e.interval_days,
            e.division,
            e.missing_facts,
        )
        for e in held
    }


def _facts_of(truth: Truth, on: date) -> tuple[Fact, ...]:
    said: list[tuple[str, Any, date | None]] = [
        (
            "registration",
            Registration(
                sex=truth.sex,  # type: ignore[arg-type]
                birth_date=truth.birth_date,
                hukou_division=truth.hukou_division,
                hukou_kind=truth.hukou_kind,  # type: ignore[arg-type]
            ),
            None,
        )
    ]
    if truth.residence_division:
        place: Any = truth.residence_place
        said.append(("residence", Residence(division=truth.residence_division, place=place), None))
    if truth.disability:
        said.append(("disability", Disability(class_=truth.disability[0], level=truth.disability[1]), None))
    if truth.low_income:
        category: Any = truth.low_income
        support: Any = truth.support
        said.append(("low_income", LowIncome(category=category, support=support), None))
    if truth.tags is not None:
        tags: Any = tuple(sorted(truth.tags))
        said.append(("living_situation", LivingSituation(tags=tags), None))
    if truth.special_family:
        only_child: Any = truth.special_family
        said.append(("special_family", SpecialFamily(only_child=only_child), None))
    if truth.died_on:
        said.append(("death", Death(evidence="register_cancelled"), truth.died_on))
    elif truth.suspected:
        said.append(("death", Death(evidence="reported"), on - timedelta(days=1)))
    return tuple(Fact(kind, value, since, None, kind, "truth", 1) for kind, value, since in sorted(said, key=_kind))


def _kind(said: tuple[str, Any, date | None]) -> str:
    return said[0]
