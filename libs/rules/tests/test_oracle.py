"""`decide` agrees on every day with an oracle that shares no code with it, under random laws and under the real ones.

`SHOUWANG_CASES` sets the number of lives. A failure names its seed and the smallest life that still fails. The tests
use seeds, not generated examples, because drawing thirty statements costs more than deciding them.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import slow_oracle
from common.events.ability import Ability
from common.events.coverage import FeedDeclared
from common.events.entitlement import Entitlement
from common.events.facts import Statement
from random_lives import DAYS, ITEMS, Chance
from rules.deciding.choices import Choice
from rules.deciding.decide import Decision, decide
from rules.deciding.lists import Lists
from rules.facts.coverage import Coverage
from rules.facts.timeline import abilities_known_at, facts_known_at
from rules.form.policy import PolicyList, load_lists
from rules.words.explain import explain
from slow_oracle import Found, Told, dated, death, decided, last_words, read_law

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
CASES = int(os.environ.get("SHOUWANG_CASES", "160"))
CASES_PER_TEST = 20
LIVES_MAX = 100
SEEDS = range(0, CASES, CASES_PER_TEST)
REAL_LAW, REAL_LISTS = read_law(POLICY), Lists(load_lists(POLICY).values())


def lists_of(law: dict[str, dict[str, Any]], told: Told | None = None) -> Lists:
    lists = [msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items()]
    return Lists(lists, coverage=coverage_of(told or {}))


def coverage_of(told: Told) -> Coverage:
    return Coverage({place: msgspec.convert(feeds, list[FeedDeclared]) for place, feeds in told.items()})


def on_day(entitlements: Sequence[Entitlement], day: date) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for e in entitlements:
        if e.from_ <= day and (e.to is None or day < e.to):
            assert e.item not in found, "two intervals of one item on one day"
            version = date.fromisoformat(e.policy.rpartition("@")[2])
            assert e.policy == f"{e.jurisdiction}/{e.item}@{version}"
            money, visits = e.amount_fen_per_month, e.interval_days
            found[e.item] = Found(
                e.state, e.jurisdiction, version, e.kind, money, e.tier, visits, e.suppressed_by, e.missing_facts
            )
    return found


def agree(got: dict[str, Found], wanted: dict[str, Found]) -> bool:
    """If several items block one, any of them may be named."""
    return got.keys() == wanted.keys() and all(
        got[i]._replace(by=None) == w._replace(by=None) and (got[i].by or "") in (w.by or "").split("|")
        for i, w in wanted.items()
    )


class Life(NamedTuple):
    statements: Sequence[Statement]
    abilities: Sequence[Ability]
    choices: Sequence[Choice]

    def decide(self, lists: Lists, known_at: datetime | None = None) -> Decision:
        known = [c for c in self.choices if known_at is None or c.recorded_at <= known_at]
        facts = facts_known_at(self.statements, known_at)
        return decide("p", facts, abilities_known_at(self.abilities, known_at), lists, choices=known)

    def recorded_by(self, known_at: datetime) -> "Life":
        return Life(*([x for x in some if x.recorded_at <= known_at] for some in self))

    def smaller(self) -> Iterator["Life"]:
        for field, some in zip(self._fields, self, strict=True):
            for n in range(len(some)):
                yield self._replace(**{field: [*some[:n], *some[n + 1 :]]})


def life_of(chance: Chance) -> Life:
    return Life(chance.statements(), chance.abilities(), chance.choices())


def first_difference(
    life: Life, law: dict[str, Any], lists: Lists, days: Sequence[date], told: Told | None = None
) -> Any:
    """The first day on which the decision and the oracle differ, with both answers; None: they agree."""
    entitlements, wanted = life.decide(lists).entitlements, decided(law, *life, days, told=told)
    for day in days:
        if not agree(got := on_day(entitlements, day), wanted[day]):
            return day, got, wanted[day]
    return None


def need_agreement(
    life: Life, law: dict[str, Any], lists: Lists, days: Sequence[date], seed: int, told: Told | None = None
) -> None:
    """Fails with the smallest life found that still differs."""
    if first_difference(life, law, lists, days, told) is None:
        return
    while (less := next((x for x in life.smaller() if first_difference(x, law, lists, days, told)), None)) is not None:
        life = less
    pytest.fail(f"seed {seed}: {first_difference(life, law, lists, days, told)}\nin {life}")


@pytest.mark.parametrize("start", SEEDS)
def test_under_random_laws_every_day_agrees_with_the_oracle_in_any_order_of_statements(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        law = chance.law()
        lists = lists_of(law)
        life = life_of(chance)
        mixed = life._replace(statements=chance.delivered(life.statements))
        assert mixed.decide(lists) == life.decide(lists), seed
        need_agreement(life, law, lists, every_day(chance), seed)


@pytest.mark.parametrize("start", SEEDS)
def test_absence_is_an_answer_on_the_same_days_and_places_as_in_the_oracle(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        law, life, told = chance.law(), life_of(chance), chance.told()
        need_agreement(life, law, lists_of(law, told), every_day(chance), seed, told)


@pytest.mark.parametrize("start", SEEDS)
def test_under_the_real_lists_absence_is_an_answer_where_it_is_in_the_oracle(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        life, told = life_of(chance), chance.told()
        lists = Lists(REAL_LISTS.by_area.values(), coverage=coverage_of(told))
        edges = {d for feeds in told.values() for f in feeds for d in (f["since"], f.get("until")) if d}
        days = sorted({*calendar(chance, life), *edges, *(d - timedelta(days=1) for d in edges)})
        need_agreement(life, REAL_LAW, lists, days, seed, told)


def every_day(chance: Chance) -> list[date]:
    """From before the first version on: the order in which a person got items counts later."""
    return [chance.first + timedelta(days=n) for n in range(-45, DAYS + 15)]


def ages_in(said: Any) -> set[int]:
    """Every age in a law."""
    if isinstance(said, dict):
        named = {n for key, n in said.items() if key.startswith("age_years")}
        return named.union(*(ages_in(part) for part in said.values()))
    return set().union(*(ages_in(part) for part in said)) if isinstance(said, list) else set()


AGES = ages_in(list(REAL_LAW.values()))
DATED = [v for one in REAL_LAW.values() for v in dated(one)]


def calendar(chance: Chance, life: Life) -> list[date]:
    """Every day on which anything may change under the real law, the days before and after it, and a few others."""
    days = {d for v in DATED for d in (v["valid_from"], v.get("valid_to")) if d}
    days |= {d for s in (*life.statements, *life.abilities) for d in (s.valid_from, s.valid_to) if d}
    days |= {c.chosen_on for c in life.choices} | {chance.day(-3000, 9000) for _ in range(5)}
    for s in life.statements:
        days.add((s.time + timedelta(hours=8)).date())
        if s.kind == "registration" and s.value is not None:
            born: date = s.value.birth_date  # type: ignore[union-attr]
            days |= {date(born.year + n, 2, 28) + timedelta(days=(born - date(born.year, 2, 28)).days) for n in AGES}
            days |= {date(born.year + n + d, 3, 1) for n in AGES for d in (0, 1)}
    return sorted({d + timedelta(days=n) for d in days for n in (-1, 0, 1)})


@pytest.mark.parametrize("start", SEEDS)
def test_under_the_real_lists_every_edge_of_a_random_life_agrees_with_the_oracle(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        life = life_of(chance)
        need_agreement(life, REAL_LAW, REAL_LISTS, calendar(chance, life), seed)
        decision = life.decide(REAL_LISTS)
        assert (decision.died_on, decision.death_suspected_on) == death(last_words(life.statements)), seed


@pytest.mark.parametrize("start", SEEDS)
def test_the_decision_of_an_instant_is_a_replay_of_the_statements_recorded_by_then(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        law = chance.law()
        lists = lists_of(law)
        life = life_of(chance)
        known_at = chance.rng.choice([x.recorded_at for some in life for x in some])
        mixed, known = life._replace(statements=chance.delivered(life.statements)), life.recorded_by(known_at)
        assert mixed.decide(lists, known_at) == known.decide(lists), seed
        need_agreement(known, law, lists, every_day(chance), seed)


@pytest.mark.parametrize("start", range(0, min(CASES, 1000), CASES_PER_TEST))
def test_an_explanation_of_a_random_day_agrees_with_the_decision(start: int) -> None:
    for seed in range(start, start + CASES_PER_TEST):
        chance = Chance(seed)
        law, life = chance.law(), life_of(chance)
        lists = lists_of(law, chance.told() if seed % 2 else None)
        decision, facts = life.decide(lists), facts_known_at(life.statements)
        for day in [chance.day() for _ in range(3)]:
            states = {item: found.state for item, found in on_day(decision.entitlements, day).items()}
            for item in ITEMS:
                said = explain(facts, life.abilities, lists, item, day, choices=life.choices)
                assert said.outcome == states.get(item, "refused"), (seed, day, item)


EVERY_TEST = sorted({*slow_oracle.ASKS_FOR})


@pytest.mark.parametrize("name", EVERY_TEST)
@pytest.mark.parametrize("wrong", [True, False])
def test_the_random_lives_notice_a_test_that_has_always_the_same_answer(
    name: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the oracle is wrong. A wrong `read` or `holds` in the table makes the same difference."""
    right = slow_oracle.leaf

    def leaf(test: str, wanted: Any, world: slow_oracle.World) -> bool | None:
        answer = right(test, wanted, world)
        return wrong if test == name and answer is not None else answer

    monkeypatch.setattr(slow_oracle, "leaf", leaf)
    for seed in range(LIVES_MAX):
        chance = Chance(seed)
        law, life = chance.law(), life_of(chance)
        if name in str(law) and first_difference(life, law, lists_of(law), every_day(chance)):
            return
    pytest.fail(f"random_lives: no law and life of {LIVES_MAX} depends on {name}")
