"""The table of circumstances is complete: a row that lacks a part would make the platform miss persons."""

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
    assert {slot for slot, row in enumerate(CIRCUMSTANCES) if row.read is None} - {*letters} == {*range(3), PLACE}
    assert CIRCUMSTANCES[ABILITY].read is None  # read from the ability results


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
