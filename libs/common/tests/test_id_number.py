from datetime import date, timedelta

import pytest
from common.codes import id_number
from common.codes.id_number import IdCode, IdNumber, IdProblem
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2026, 11, 22)


def accepted(raw: str) -> IdNumber:
    found = id_number.check(raw, TODAY)
    assert isinstance(found, IdNumber), found
    return found


def refused(raw: str) -> IdCode:
    found = id_number.check(raw, TODAY)
    assert isinstance(found, IdProblem), found
    return found.code


@pytest.mark.parametrize(
    ("number", "born", "sex"),
    [
        ("140702194002290014", date(1940, 2, 29), "1"),
        ("142427194408120456", date(1944, 8, 12), "1"),
        ("142327193811110362", date(1938, 11, 11), "2"),
        ("530302194506151238", date(1945, 6, 15), "1"),
        ("11010119300301889X", date(1930, 3, 1), "1"),
        ("532201194110050780", date(1941, 10, 5), "2"),
        ("14112519350101002X", date(1935, 1, 1), "2"),
    ],
)
def test_numbers_of_elders_are_accepted_whatever_the_age_of_their_area_code(number: str, born: date, sex: str) -> None:
    found = accepted(number)
    assert (found.number, found.area, found.birth_date, found.sex) == (number, number[:6], born, sex)
    assert (found.kind, found.warnings) == ("citizen", ())


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("140703194503120010", IdCode.CHECKSUM),
        ("140702194102290014", IdCode.BIRTH_DATE),
        ("14070219400229001", IdCode.LENGTH),
        ("", IdCode.LENGTH),
        ("1" * 65, IdCode.LENGTH),
        ("14070219400229001A", IdCode.CHARACTERS),
        ("X40702194002290014", IdCode.CHARACTERS),
        ("040702194002290014", IdCode.CHARACTERS),
        ("14070219400229001٤", IdCode.CHARACTERS),
        ("140702 94002290014", IdCode.CHARACTERS),
        ("140702185912310015", IdCode.BIRTH_DATE),
        ("140702194013010015", IdCode.BIRTH_DATE),
    ],
)
def test_a_number_that_cannot_be_one_is_refused_with_its_reason(number: str, code: IdCode) -> None:
    assert refused(number) == code


def test_a_birth_in_the_future_is_refused_and_a_birth_today_is_not() -> None:
    assert refused(id_number.make("140702", TODAY + timedelta(days=1), 1)) == IdCode.BIRTH_IN_FUTURE
    assert accepted(id_number.make("140702", TODAY, 1)).birth_date == TODAY


def test_spaces_full_width_digits_and_a_small_x_are_the_same_number() -> None:
    for raw in (
        " 11010119300301889x\n",
        "１１０１０１１９３００３０１８８９ｘ",
        "\ufeff11010119300301889X\u3000",
    ):
        found = accepted(raw)
        assert found.number == "11010119300301889X"
        assert found.raw == raw


def test_a_legacy_number_gets_its_century_and_check_character_and_keeps_what_came_in() -> None:
    found = accepted("110101300301889")
    assert (found.number, found.raw) == ("11010119300301889X", "110101300301889")


@pytest.mark.parametrize(
    ("area", "kind"),
    [
        ("810000", "hmt_permit"),
        ("820000", "hmt_permit"),
        ("830000", "hmt_permit"),
        ("931840", "foreign_permit"),
    ],
)
def test_permits_with_the_same_layout_are_told_apart_by_their_area(area: str, kind: str) -> None:
    found = accepted(id_number.make(area, date(1950, 5, 5), 22))
    assert (found.kind, found.warnings, found.sex) == (kind, (), "2")


@pytest.mark.parametrize("raw", ["USA110150101011", "usa110150101011", " ＵＳＡ110150101011\n"])
def test_an_older_card_of_a_foreign_permanent_resident_is_read_and_nothing_is_guessed_from_its_digits(raw: str) -> None:
    found = accepted(raw)
    assert (found.number, found.kind, found.raw) == ("USA110150101011", "foreign_permit", raw)
    assert (found.area, found.birth_date, found.sex, found.warnings) == (None, None, None, ())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("PSB202611000123", IdCode.NATIONALITY),
        ("USA1101501010", IdCode.LENGTH),
        ("US1110150101011", IdCode.CHARACTERS),
        ("USA11015010101X", IdCode.CHARACTERS),
    ],
)
def test_what_only_looks_like_an_older_card_is_refused(raw: str, code: IdCode) -> None:
    assert refused(raw) == code


def test_those_with_a_residence_permit_have_no_hukou() -> None:
    born = date(1950, 5, 5)
    assert all(id_number.has_hukou(id_number.make(area, born, 1)) for area in ("110101", "659001", "530302"))
    permits = [id_number.make(area, born, 1) for area in ("810000", "820000", "830000", "931840")]
    assert not any(id_number.has_hukou(number) for number in [*permits, "USA110150101011"])


@pytest.mark.parametrize("area", ["140799", "140704", "770101", "530371", "140971"])
def test_an_unknown_area_is_a_warning_and_never_a_refusal(area: str) -> None:
    assert accepted(id_number.make(area, date(1950, 5, 5), 1)).warnings == (IdCode.AREA_UNKNOWN,)


def test_a_place_in_a_province_that_is_not_listed_in_detail_raises_no_warning() -> None:
    assert accepted(id_number.make("510104", date(1950, 5, 5), 1)).warnings == ()


@given(
    st.sampled_from(["140702", "142401", "532201"]),
    st.dates(date(1900, 1, 1), TODAY),
    st.integers(0, 999),
    st.integers(0, 16),
    st.integers(1, 9),
)
def test_one_wrong_digit_never_passes(area: str, born: date, sequence: int, place: int, shift: int) -> None:
    number = id_number.make(area, born, sequence)
    assert accepted(number).birth_date == born
    digit = str((int(number[place]) + shift) % 10)
    wrong = number[:place] + digit + number[place + 1 :]
    assert isinstance(id_number.check(wrong, TODAY), IdProblem)


@given(st.text(max_size=80))
def test_any_text_gets_an_answer(raw: str) -> None:
    assert isinstance(id_number.check(raw, TODAY), IdNumber | IdProblem)


def test_neither_a_printed_number_nor_a_problem_shows_the_number() -> None:
    assert "140702194002290014" not in repr(accepted("140702194002290014"))
    with pytest.raises(ValueError, match="id_checksum") as caught:
        id_number.parse("140702194002290015")
    assert "140702194002290015" not in str(caught.value)
    assert id_number.parse("140702194002290014").sex == "1"
