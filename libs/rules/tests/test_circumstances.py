"""The table of circumstances is complete: a row that lacks a part would make the platform miss persons."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

import pytest
import slow_oracle
from common.events.kinds import RULES
from mutations import FIELDS, WORDS, literals
from plain_lives import NAMES, life
from random_lives import Chance
from rules.form.circumstance_row import Circumstance
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.condition_form import GROUPS, TESTS
from rules.form.situation import ABILITY, AGE, HUKOU, PLACE, RESIDENCE, SEVERAL, TEST


def test_every_test_of_a_condition_belongs_to_one_circumstance() -> None:
    assert sorted(name for row in CIRCUMSTANCES for name in row.tests) == sorted({*TESTS} - {*GROUPS})
    assert {*TEST} == {*TESTS} - {*GROUPS}


def test_every_circumstance_is_in_the_traits_line_or_is_a_place_or_the_age() -> None:
    letters = {slot: row.letter for slot, row in enumerate(CIRCUMSTANCES) if row.letter is not None}
    assert {*range(len(CIRCUMSTANCES))} - {*letters} == {HUKOU, RESIDENCE, AGE, PLACE}
    assert len({*letters.values(), "h", "r", "x"}) == len(letters) + 3


def test_every_value_comes_from_a_fact_but_places_ages_and_abilities() -> None:
    """A row that reads nothing would never know its circumstance of anybody. `rules.deciding.changes` reads these."""
    without = {slot for slot, row in enumerate(CIRCUMSTANCES) if row.read is None}
    assert without == {HUKOU, RESIDENCE, AGE, PLACE, ABILITY}


def test_rows_of_one_kind_of_fact_agree_on_its_place() -> None:
    kinds = {row.fact for row in CIRCUMSTANCES}
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_the_proof_tries_a_value_for_every_name_that_a_list_may_state() -> None:
    tried = 0
    for row in CIRCUMSTANCES:
        for name, test in row.tests.items() if row.known else ():
            for literal in literals(FIELDS[name]):
                assert any(test.holds((literal,), value) for value in row.known), (row.name, literal)
                tried += 1
    assert tried > 10


def test_every_circumstance_has_all_its_values_for_the_proof() -> None:
    for slot, row in enumerate(CIRCUMSTANCES):
        if slot not in (HUKOU, RESIDENCE):
            assert bool(row.known) != (slot in SEVERAL), row.name


def test_circumstances_with_several_values_come_last_and_have_a_kind_of_fact_of_their_own() -> None:
    assert tuple(range(SEVERAL[0], len(CIRCUMSTANCES))) == SEVERAL
    kinds = [row.fact.code for row in CIRCUMSTANCES]
    assert all(kinds.count(CIRCUMSTANCES[slot].fact.code) == 1 for slot in SEVERAL)


def test_every_value_is_written_in_a_traits_line_and_read_again() -> None:
    for row in CIRCUMSTANCES:
        for value in row.known if row.letter is not None else ():
            written = row.encode(value)
            assert " " not in written
            assert row.encode(row.parse(written)) == written
            assert row.text(value)


# --- the other tests know every row -----------------------------------------------------------------

EVERY_TEST = [pytest.param(row, name, id=name) for row in CIRCUMSTANCES for name in row.tests]
NUMBERS = ("age_years_min", "age_years_max", "ability_level_min")


@cache
def random_facts() -> dict[str, list[Any]]:
    """By kind the values of many random lives."""
    found: dict[str, list[Any]] = defaultdict(list)
    for seed in range(60):
        for statement in Chance(seed).statements():
            if statement.value is not None:
                found[statement.kind].append(statement.value)
    return found


def leaves(condition: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, said in condition.items():
        if name in GROUPS:
            for part in said:
                yield from leaves(part)
        elif name != "absent_means":
            yield name, said


@cache
def random_arguments() -> dict[str, set[str]]:
    """By test what random laws ask for."""
    found: dict[str, set[str]] = defaultdict(set)
    for seed in range(10):
        for area in Chance(seed).law().values():
            for version in (v for item in area["items"].values() for v in item["versions"]):
                for name, said in leaves(version["conditions"]):
                    found[name].add(repr(said))
    return found


@pytest.mark.parametrize(("row", "name"), EVERY_TEST)
def test_the_oracle_knows_every_test(row: Circumstance, name: str) -> None:
    kind = row.fact.code
    assert slow_oracle.ASKS_FOR.get(name) == kind, f"slow_oracle.ASKS_FOR[{name!r}] is not {kind}"
    if RULES[kind].absence == "false":
        tells = "OF_THE_HUKOU" if row.fact.at_hukou else "OF_THE_HOME"
        assert kind in getattr(slow_oracle, tells), f"slow_oracle.{tells} lacks {kind} (row {row.name})"
    else:
        assert kind in slow_oracle.ASKED, f"slow_oracle.ASKED lacks {kind} (row {row.name})"
    if row.element is not None:
        assert kind in slow_oracle.SEVERAL, f"slow_oracle.SEVERAL lacks {kind} (row {row.name})"
    nobody = slow_oracle.plain_world([], [], date(2024, 1, 1))
    assert slow_oracle.leaf(name, (), nobody) is None, f"slow_oracle.leaf answers {name} without a fact"


@pytest.mark.parametrize(("row", "name"), EVERY_TEST)
def test_random_laws_and_changed_lists_ask_every_test_in_several_ways(row: Circumstance, name: str) -> None:
    assert len(random_arguments()[name]) > 1, f"random_lives._condition does not vary {name} (row {row.name})"
    known = name in WORDS or name in NUMBERS or name == "disability"
    assert known, f"mutations.WORDS lacks {name} (row {row.name})"


@pytest.mark.parametrize("row", [row for row in CIRCUMSTANCES if row.read is not None], ids=lambda row: row.name)
def test_random_lives_vary_every_circumstance(row: Circumstance) -> None:
    assert row.read is not None
    values = {row.read(value) for value in random_facts()[row.fact.code]}
    assert values, f"random_lives.KINDS or _value lacks {row.fact.code} (row {row.name})"
    assert len(values) > 1 or len(row.known) == 1, f"random_lives._value does not vary {row.name}"


@pytest.mark.parametrize("row", [row for row in CIRCUMSTANCES if row.read is not None], ids=lambda row: row.name)
def test_a_part_that_a_known_fact_leaves_out_never_makes_the_platform_ask_for_it(row: Circumstance) -> None:
    """A holder of a residence permit has no kind of hukou, and still a registration."""
    assert row.read is not None
    asked = RULES[row.fact.code].absence == "unknown"
    for fact in random_facts()[row.fact.code]:
        value = row.read(fact)
        assert value is not None, f"{row.name} reads nothing from {fact}: a missing part needs a value of its own"
        assert row.element is not None or value in row.known, f"{row.name}: {value!r} of {fact} is not in `known`"
        for name, test in row.tests.items() if asked else ():
            for argument in WORDS.get(name, ()):
                assert test.holds((argument,), value) is not None, (row.name, name, value)


@pytest.mark.parametrize("row", CIRCUMSTANCES, ids=lambda row: row.name)
def test_a_plain_life_has_a_fact_of_every_value(row: Circumstance) -> None:
    """Tests of remedies and of lists that compare persons use plain lives."""
    assert row.name in NAMES, f"plain_lives.NAMES and life lack {row.name}"
    for value in row.known if row.read is not None else ():
        facts, _ = life({row.name: value}, date(2024, 6, 1))
        read = [row.read(fact.value) for fact in facts if fact.kind == row.fact.code] if row.read else []
        assert read == [value], f"plain_lives.life gives {read} for {row.name} = {value!r}"
