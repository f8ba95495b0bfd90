"""The rules derive the true facts from the statements of the sources."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
import synth
from common.events import facts as fact_types
from rules.facts.timeline import Deceased, Fact, Suspected, death_of, facts_known_at
from synth.cloud_events import OTHER_OFFICES
from synth.truth import Truth

TODAY = date(2025, 5, 1)
Event = dict[str, Any]


def of_kind(event: Event) -> str:
    return str(event["type"].split(".")[3])


def typed(kind: str, value: Event | None) -> fact_types.Value | None:
    if value is None:
        return None
    known = {"registration": {"name"}, "residence": {"address"}, "disability": {"certificate_no"}}
    fields = {k: v for k, v in value.items() if k not in known.get(kind, ())}
    if kind == "low_income":
        fields["household"] = fields.pop("household_no", None)
    found: fact_types.Value = msgspec.convert({"of": kind, **fields}, fact_types.Value)
    return found


def statements_of(events: list[Event]) -> dict[str, list[fact_types.Statement]]:
    """Per person the statements that ingestion would store: chains in order, households copied to their members."""
    seen = {(e["source"], e["id"]): e for e in events}

    def root(event: Event) -> Event:
        while previous := event["data"]["previous_event_id"]:
            event = seen[event["source"], previous]
        return event

    ever: defaultdict[str, set[str]] = defaultdict(set)
    for event in seen.values():
        if of_kind(event) == "household" and "value" in event["data"]:
            ever[event["data"]["value"]["household_no"]] |= set(event["data"]["value"]["members"])
    kept: defaultdict[str, list[fact_types.Statement]] = defaultdict(list)
    reported = [
        e for e in seen.values() if of_kind(e) not in OTHER_OFFICES
    ]  # the truth does not contain the other kinds
    for event in sorted(reported, key=lambda e: (e["time"], e["id"])):
        data, kind, first = event["data"], of_kind(event), root(event)
        household = first["data"]["value"].get("household_no")
        value = data.get("value")
        at = datetime.fromisoformat(event["time"])
        statement = fact_types.Statement(
            event_id=event["id"],
            chain=first["id"],
            action=data["action"],
            kind=kind,  # type: ignore[arg-type]
            source=event["source"],
            rank=1,
            time=at,
            recorded_at=at,
            valid_from=data.get("valid_from") and date.fromisoformat(data["valid_from"]),
            valid_to=data.get("valid_to") and date.fromisoformat(data["valid_to"]),
        )
        subject = data["person"]["id_number"]
        if kind == "household":
            for member in ever[household]:
                line = value and fact_types.Household(household=household, member=member in value["members"])
                kept[member].append(msgspec.structs.replace(statement, value=line))
            continue
        statement = msgspec.structs.replace(statement, value=typed(kind, value))
        kept[subject].append(statement)
        if household:
            for member in ever[household] - {subject}:
                kept[member].append(msgspec.structs.replace(statement, via=household))
    return kept


def value_on(facts: tuple[Fact, ...], kind: str, on: date) -> Any:
    found = [f.value for f in facts if f.kind == kind and f.holds_on(on)]
    assert len(found) <= 1, f"two facts of {kind} at once"
    return found[0] if found else None


def assert_facts_are_true(facts: tuple[Fact, ...], truth: Truth, on: date) -> None:
    registration, home = value_on(facts, "registration", on), value_on(facts, "residence", on)
    assert (registration.hukou_division, registration.birth_date) == (truth.hukou_division, truth.birth_date)
    assert (home and home.division) == truth.residence_division
    certificate = value_on(facts, "disability", on)
    assert (certificate and (certificate.class_, certificate.level)) == truth.disability
    income = value_on(facts, "low_income", on)
    assert (income and income.category) == truth.low_income
    assert (income and income.support) == truth.support
    living, special = value_on(facts, "living_situation", on), value_on(facts, "special_family", on)
    assert (None if living is None else frozenset(living.tags)) == truth.tags
    assert (special and special.only_child) == truth.special_family
    death = death_of(facts)
    assert (death.on if isinstance(death, Deceased) else None) == truth.died_on
    assert isinstance(death, Suspected) == truth.suspected


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_the_rules_derive_the_truth_from_the_statements_in_any_order(seed: int) -> None:
    county = synth.county(seed, 600, ["141125", "530302"], TODAY)
    load = list(county.initial_load())
    rates = synth.Rates(wrong=300, phantom=200, false_death=0.5).times(20)
    pushes = [push.event for push in synth.stream(county, 7, seed, rates=rates)]
    kept = statements_of([*load, *pushes])
    last = county.today + timedelta(days=200)
    shuffle = Random(seed)
    for truth in county.truth(last).values():
        by_chain: defaultdict[str, list[fact_types.Statement]] = defaultdict(list)
        for statement in kept[truth.id_number]:
            by_chain[statement.chain].append(statement)
        chains = list(by_chain.values())
        shuffle.shuffle(chains)
        facts = facts_known_at(statement for chain in chains for statement in chain)
        assert_facts_are_true(facts, truth, last)
