"""The stories in `contracts/policy/cases` come out as an official would expect."""

import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from common.events.ability import Ability
from common.events.facts import Statement, Value
from rules.decide import Decision, decide
from rules.explain import explain
from rules.lists import Lists
from rules.policy import load_lists
from rules.timeline import abilities_known_at, facts_known_at

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
KINDS = ["registration", "residence", "disability", "low_income", "living_situation"]
KINDS += ["special_family", "household", "death", "alive"]
DEFAULTS: dict[str, dict[str, Any]] = {"registration": {"sex": "1", "hukou_kind": "rural"}}
VERB = {"corrects": "corrected", "annuls": "annulled", "ends": "ended"}


def _cases() -> list[Any]:
    found = []
    for path in sorted((POLICY / "cases").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            found.append(pytest.param(case, id=f"{path.stem}: {case['title']}"))
    return found


LISTS = Lists(load_lists(POLICY).values())


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(1), UTC)


def _statements(rows: list[dict[str, Any]]) -> list[Statement]:
    """A story's rows as statements. Household values reach a person as copies, which `via` marks."""
    chains: dict[str, tuple[str, str]] = {}
    made = []
    for row in rows:
        verb = next((v for v in VERB if v in row), None)
        named = next((k for k in KINDS if k in row), None)
        kind, chain = chains[row[verb]] if verb else (str(named), row["id"])
        chains[row["id"]] = kind, chain
        value = {"of": kind, **DEFAULTS.get(kind, {}), **row[named]} if named else None
        made.append(
            Statement(
                event_id=row["id"],
                chain=chain,
                action=VERB[verb] if verb else "created",  # type: ignore[arg-type]
                kind=kind,  # type: ignore[arg-type]
                source="urn:cn:exchange:story",
                rank=row.get("rank", 1),
                time=_instant(row["said"]),
                recorded_at=_instant(row["said"]),
                valid_from=row.get("from"),
                valid_to=row.get("to"),
                value=msgspec.convert(value, Value) if value else None,
                via=row.get("via"),
            )
        )
    return made


def _abilities(rows: list[dict[str, Any]]) -> list[Ability]:
    return [
        Ability(
            assessment_id=row["id"],
            scale="GB/T 42195",
            scale_version="2022",
            level=row["level"],
            valid_from=row["from"],
            valid_to=row.get("to"),
            recorded_at=_instant(row["from"]),
        )
        for row in rows
    ]


def _decide(case: dict[str, Any], statements: list[Statement], known_at: date | None) -> Decision:
    until = _instant(known_at) + timedelta(hours=1) if known_at else None
    abilities = abilities_known_at(_abilities(case.get("abilities", [])), until)
    return decide("person", facts_known_at(statements, until), abilities, LISTS)


def _shown(decision: Decision, item: str, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The intervals of an item with the fields that the story gives."""
    shown = []
    for e in (e for e in decision.entitlements if e.item == item):
        full = {
            "from": e.from_,
            "to": e.to,
            "state": e.state,
            "yuan": None if e.amount_fen_per_month is None else e.amount_fen_per_month / 100,
            "tier": e.tier,
            "days": e.interval_days,
            "list": e.jurisdiction,
            "division": e.division,
            "by": e.suppressed_by,
            "missing": list(e.missing_facts),
            "status": e.policy_status,
            "when": e.pay.when if e.pay else None,
        }
        wanted = {key for row in like for key in row} | {"from", "to", "state"}
        shown.append({key: full[key] for key in sorted(wanted)})
    return shown


def _wanted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    base: dict[str, Any] = {key: None for row in rows for key in row}
    base |= {"to": None, "state": "granted"} | ({"missing": []} if "missing" in base else {})
    return [dict(sorted((base | row).items())) for row in rows]


@pytest.mark.parametrize("case", _cases())
def test_the_story_comes_out_as_told(case: dict[str, Any]) -> None:
    statements = _statements(case["facts"])
    for moment in case["then"]:
        decision = _decide(case, statements, moment.get("known_at"))
        assert decision.died_on == moment.get("died_on")
        assert decision.death_suspected_on == moment.get("suspected_on")
        for item, rows in moment.get("expect", {}).items():
            assert _shown(decision, item, rows) == _wanted(rows), item
        for item in moment.get("none", []):
            assert _shown(decision, item, []) == []


@pytest.mark.parametrize("case", _cases())
def test_shuffled_and_repeated_three_times_the_story_is_the_same(case: dict[str, Any]) -> None:
    statements = _statements(case["facts"])
    straight = _decide(case, statements, None)
    shuffle = random.Random(case["title"])
    chains = sorted({s.chain for s in statements})
    for _ in range(5):
        queues = [[s for s in statements if s.chain == chain for _ in range(3)] for chain in chains]
        mixed = []
        while queues:
            queue = shuffle.choice(queues)
            mixed.append(queue.pop(0))
            queues = [q for q in queues if q]
        assert _decide(case, mixed, None) == straight


@pytest.mark.parametrize("case", _cases())
def test_the_explanation_agrees_with_the_decision_at_every_edge(case: dict[str, Any]) -> None:
    statements = _statements(case["facts"])
    facts, abilities = facts_known_at(statements), _abilities(case.get("abilities", []))
    decision = decide("person", facts, abilities, LISTS)
    items = {e.item for e in decision.entitlements} | {"longevity_allowance", "dibao"}
    edges = {d for e in decision.entitlements for d in (e.from_, e.to) if d}
    for day in {edge + timedelta(days=offset) for edge in edges for offset in (-1, 0)}:
        for item in items:
            states: list[str] = [
                e.state
                for e in decision.entitlements
                if e.item == item and e.from_ <= day and (e.to is None or day < e.to)
            ]
            said = explain(facts, abilities, LISTS, item, day)
            assert [said.outcome] == (states or ["refused"]), (item, day, said)
            assert said.sentence.endswith("。")
            if said.outcome == "granted":
                assert all(c.holds for c in said.conditions)
                assert said.policy is not None
