from datetime import date

import pytest
from common.codes import divisions

TODAY = date(2026, 11, 22)


def test_a_county_lies_in_its_city_province_and_nation() -> None:
    assert divisions.ancestors("141125") == ("141100", "140000", "000000")
    assert divisions.ancestors("110108") == ("110000", "000000")
    assert divisions.ancestors("000000") == ()


def test_towns_and_villages_find_their_county_by_the_documented_structure() -> None:
    assert divisions.ancestors("530302001003") == ("530302001", "530302", "530300", "530000", "000000")
    assert divisions.name("141125101") == "穆村镇"
    assert divisions.known("530302001", TODAY)
    assert not divisions.known("530399001", TODAY)


def test_what_is_within_an_area_is_data_and_not_a_prefix() -> None:
    assert divisions.within("530371", "530300")
    assert not divisions.within("530371", "530302")
    assert divisions.within("140702401001", "140702401")
    assert not divisions.within("142401", "140700")
    assert divisions.within("141125", "141125")
    assert not divisions.within("141100", "141125")


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        ("140971", "五台山风景名胜区", "nbs"),
        ("530371", "曲靖经济技术开发区", "custom"),
        ("140972", "忻州经济开发区", "custom"),
        ("140702401", "晋中开发区", "nbs"),
    ],
)
def test_areas_without_a_national_code_are_areas_like_any_other(code: str, name: str, kind: str) -> None:
    found = divisions.get(code, TODAY)
    assert found is not None
    assert (found.name, found.kind) == (name, kind)


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [("140726", "140703", 2018, 2020), ("530328", "530303", 2015, 2017), ("530321", "530304", 2017, 2019)],
)
def test_a_renumbered_county_has_one_successor_and_lies_within_it(old: str, new: str, before: int, after: int) -> None:
    assert divisions.successor(old, date(before, 6, 1)) == old
    assert divisions.successor(old, date(after, 6, 1)) == new
    assert divisions.successor(new, TODAY) == new
    assert not divisions.known(new, date(before, 6, 1))
    assert not divisions.known(old, date(after, 6, 1))
    assert divisions.within(old, new)


def test_a_code_has_no_successor_on_a_day_before_it_is_in_force() -> None:
    assert divisions.successor("110118", date(2000, 1, 1)) is None
    assert divisions.successor("110228", date(2000, 1, 1)) == "110228"
    assert divisions.successor("142321", date(1980, 1, 1)) == "142321"


def test_a_town_code_of_a_city_lies_in_that_city_so_that_nobody_is_missed() -> None:
    assert divisions.known("530300001", TODAY)
    assert divisions.ancestors("530300001") == ("530300", "530000", "000000")


def test_in_the_year_of_a_renumbering_both_codes_hold() -> None:
    assert divisions.known("140726", date(2019, 9, 1))
    assert divisions.known("140703", date(2019, 9, 1))


def test_a_code_that_was_given_to_another_county_names_each_in_its_time() -> None:
    first, second = divisions.get("142321", date(1980, 1, 1)), divisions.get("142321", date(1990, 1, 1))
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("榆次县", "汾阳县")
    assert divisions.get("142321", TODAY) is None
    assert divisions.successor("142321", TODAY) is None


def test_children_are_the_areas_in_force() -> None:
    assert len(divisions.children("141125")) == 15
    assert {"140703", "140781"} <= set(divisions.children("140700"))
    assert "140726" not in divisions.children("140700")
    assert len(divisions.children("110000")) == 16
    assert "530371" in divisions.children("530300")


@pytest.mark.parametrize("code", ["", "abc", "53030", "5303021", "９９９９９９", "000000001", "999999", "14070200x"])
def test_an_unknown_code_is_nowhere(code: str) -> None:
    assert not divisions.known(code)
    assert divisions.ancestors(code) == ()
    assert divisions.parent(code) is None
    assert divisions.successor(code, TODAY) is None


def test_every_listed_code_leads_to_the_nation() -> None:
    listed = divisions.codes()
    assert len(listed) == len(set(listed)) > 100
    for code in listed:
        if code != divisions.NATION:
            assert divisions.ancestors(code)[-1] == divisions.NATION
            assert divisions.successor(code, TODAY) == code
