"""The table of circumstances is complete: a row that lacks a part would make the platform miss persons."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rules.form.circumstances import CIRCUMSTANCES
from rules.form.condition_form import GROUPS, TESTS, Condition
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


def test_a_changed_letter_needs_new_traits_of_all_persons() -> None:
    """Identification stores traits lines. If this fails, its next migration sets `persons.traits = '*'`."""
    letters = {row.letter: row.name for row in CIRCUMSTANCES if row.letter is not None}
    assert letters == {
        "d": "disability",
        "l": "low_income",
        "v": "living",
        "s": "special",
        "a": "ability",
        "m": "merits",
        "e": "elsewhere",
        "w": "wishes",
    }


def test_rows_of_one_kind_of_fact_agree_on_its_place() -> None:
    kinds = {row.fact for row in CIRCUMSTANCES}
    assert len({kind.code for kind in kinds}) == len(kinds)


def literals(annotation: Any) -> Iterator[str]:
    """The names that a field of a condition allows."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in get_args(annotation):
        yield from literals(part)


def test_the_proof_tries_a_value_for_every_name_that_a_list_may_state() -> None:
    fields = get_type_hints(Condition)
    tried = 0
    for row in CIRCUMSTANCES:
        for name, test in row.tests.items() if row.known else ():
            for literal in literals(fields[name]):
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
