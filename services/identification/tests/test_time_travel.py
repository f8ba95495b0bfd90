"""The inputs known at an instant give the decision made then: `decide_person` against a slow oracle."""

import os
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from common.events import AbilitiesDetermined, PersonFactsRecorded
from identification.deciding.domain.decision import decide_person
from identification.deciding.domain.person import Inputs
from rules.deciding.lists import Lists
from rules.form.policy import PolicyList
from shell.settings import repository_root

sys.path.insert(0, str(repository_root() / "libs" / "rules" / "tests"))
from random_lives import DAYS, Chance
from slow_oracle import decided

CASES = int(os.environ.get("SHOUWANG_CASES", "60"))
EARLY = datetime(2019, 1, 1, tzinfo=UTC)


def inputs_of(statements: Any, abilities: Any, choices: Any) -> Inputs:
    def newest(some: Any) -> datetime:
        return max((x.recorded_at for x in some), default=EARLY)

    facts = PersonFactsRecorded(person_id="p", version=1, recorded_at=newest(statements), statements=tuple(statements))
    results = AbilitiesDetermined(person_id="p", version=1, recorded_at=newest(abilities), abilities=tuple(abilities))
    return Inputs(facts, results, tuple(choices))


@pytest.mark.parametrize("start", range(0, CASES, 20))
def test_a_decision_as_known_at_an_instant_equals_a_replay_of_the_events_known_then(start: int) -> None:
    for seed in range(start, start + 20):
        chance = Chance(seed)
        law = chance.law()
        lists = Lists(msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items())
        statements, abilities, choices = chance.statements(), chance.abilities(), chance.choices()
        known_at = chance.rng.choice([s.recorded_at for s in (*statements, *abilities, *choices)])
        then, _ = decide_person(inputs_of(chance.delivered(statements), abilities, choices), lists, known_at)
        known = [[x for x in some if x.recorded_at <= known_at] for some in (statements, abilities, choices)]
        replay, facts = decide_person(inputs_of(*known), lists)
        assert (then.entitlements, then.died_on) == (replay.entitlements, replay.died_on), seed
        assert then.recorded_at == replay.recorded_at == known_at, seed
        days = [chance.first.fromordinal(chance.first.toordinal() + n) for n in range(-45, DAYS + 15)]
        expected = decided(law, *known, days)  # type: ignore[arg-type]
        for day in days if facts else ():
            got = {e.item: e for e in then.entitlements if e.from_ <= day and (e.to is None or day < e.to)}
            assert {item: (e.state, e.amount_fen_per_month, e.tier, e.missing_facts) for item, e in got.items()} == {
                item: (f.state, f.fen, f.tier, f.missing) for item, f in expected[day].items()
            }, (seed, day)
