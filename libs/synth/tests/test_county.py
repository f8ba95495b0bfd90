from collections import Counter
from datetime import date, timedelta

import pytest
import synth
from common.calendar import age_on
from common.codes import divisions, id_number
from common.codes.id_number import IdNumber
from synth.identity import areas_of

TODAY = date(2026, 5, 22)
COUNTY = synth.county(11, 20_000, ["141125", "530302", "110105"], TODAY)


def test_every_id_number_is_valid_unique_and_contains_birth_and_sex() -> None:
    for person in COUNTY.people:
        found = id_number.check(person.number, TODAY)
        assert isinstance(found, IdNumber), found
        assert (found.birth_date, found.sex, found.warnings) == (person.birth_date, person.sex, ())
    assert len({p.number for p in COUNTY.people}) == len(COUNTY.people)


def test_most_id_numbers_have_an_area_code_of_the_county_and_many_an_abolished_one() -> None:
    areas = Counter(p.number[:6] for p in COUNTY.people if p.hukou[0][1].division.startswith("141125"))
    total = areas.total()
    assert areas["142327"] + areas["141125"] > 0.75 * total
    assert areas["142327"] > 0.3 * total
    assert areas["510104"] > 0
    assert "532201" in areas_of("530302")
    assert "142401" in areas_of("140702")
    assert areas_of("530371") == ("532201", "530302")


def test_the_age_pyramid_narrows_upwards_and_has_centenarians() -> None:
    bands = Counter(age_on(p.birth_date, TODAY) // 5 * 5 for p in COUNTY.people)
    assert bands[60] > bands[65] > bands[70] > bands[75] > bands[80] > bands[85] > bands[90] > bands[95] > 0
    assert 0.23 < bands[60] / len(COUNTY.people) < 0.30
    assert sum(count for band, count in bands.items() if band >= 80) / len(COUNTY.people) == pytest.approx(
        0.135, abs=0.02
    )
    assert sum(count for band, count in bands.items() if band >= 100) >= 10
    assert bands[55] > 0


def test_women_outlive_men() -> None:
    def men_per_100_women(first: int, last: int) -> float:
        sexes = Counter(p.sex for p in COUNTY.people if first <= age_on(p.birth_date, TODAY) <= last)
        return 100 * sexes["1"] / sexes["2"]

    assert 90 < men_per_100_women(60, 69) < 110
    assert 55 < men_per_100_women(80, 89) < 95
    assert men_per_100_women(85, 120) < men_per_100_women(60, 69) - 15


def test_even_a_small_county_has_a_leap_day_birth_and_a_centenarian() -> None:
    small = synth.county(1, 100, ["141125"], TODAY)
    births = [p.birth_date for p in small.people]
    assert any((b.month, b.day) == (2, 29) for b in births)
    assert any(age_on(b, TODAY) >= 100 for b in births)


def test_every_person_has_a_home_and_some_live_away_from_their_hukou() -> None:
    truth = COUNTY.truth(TODAY).values()
    for person in truth:
        assert divisions.known(person.hukou_division, TODAY)
        assert person.residence_division is not None
        assert divisions.known(person.residence_division, TODAY)
    away = sum(t.hukou_division[:6] != (t.residence_division or "")[:6] for t in truth)
    assert 0.02 < away / len(truth) < 0.10


def test_the_shares_of_poor_disabled_and_single_people_are_realistic() -> None:
    truth = list(COUNTY.truth(TODAY).values())
    assert 0.06 < sum(t.disability is not None for t in truth) / len(truth) < 0.11
    assert 0.03 < sum(t.low_income == "dibao" for t in truth) / len(truth) < 0.06
    assert any(t.via_household for t in truth)
    assert {"dibao", "bianyuan", "gangxing", "fanpin", "tekun"} <= {t.low_income for t in truth}
    assert all((t.support is not None) == (t.low_income == "tekun") for t in truth)
    tagged = Counter(tag for t in truth for tag in t.tags or ())
    assert min(tagged["alone"], tagged["empty_nest"], tagged["left_behind"]) > 300
    assert not any({"alone", "empty_nest"} <= (t.tags or frozenset()) for t in truth)
    assert not any(t.died_on or t.suspected for t in truth)


def test_the_initial_load_has_unique_ids_and_registers_every_person() -> None:
    events = list(COUNTY.initial_load())
    assert len({(e["source"], e["id"]) for e in events}) == len(events)
    registered = [e["data"]["person"]["id_number"] for e in events if e["type"].endswith("registration.v1")]
    assert sorted(registered) == sorted(p.number for p in COUNTY.people)
    midnight = f"{TODAY}T00:00"
    assert all(e["time"] < midnight for e in events)
    latest = (TODAY - timedelta(days=100)).isoformat()
    assert all((e["data"]["valid_from"] or "") <= latest for e in events)


def test_events_come_from_the_registered_sources_with_their_kinds() -> None:
    sources = synth.sources("141100")
    for event in COUNTY.initial_load():
        assert event["type"].split(".")[3] in sources[event["source"]]
    county = synth.county(3, 500, ["141125"], TODAY)
    for push in synth.stream(county, 3, 3, rates=synth.Rates().times(20)):
        assert push.event["type"].split(".")[3] in sources[push.event["source"]]


def test_a_certificate_number_begins_with_the_id_number_and_ends_with_class_and_level() -> None:
    county = synth.county(3, 3000, ["141125"], TODAY)
    events = [*county.initial_load(), *(p.event for p in synth.stream(county, 3, 3))]
    seen = 0
    for event in events:
        value = event["data"].get("value")
        if event["type"].endswith("disability.v1") and value:
            number = event["data"]["person"]["id_number"]
            assert value["certificate_no"] == f"{number}{value['class']}{value['level']}"
            seen += 1
    assert seen > 100


def test_the_same_seed_gives_the_same_county_and_another_seed_another() -> None:
    def drawn(seed: int) -> list[object]:
        county = synth.county(seed, 300, ["141125", "530302"], TODAY)
        return [*county.initial_load(), *synth.stream(county, 4, seed, rates=synth.Rates().times(10))]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_an_unknown_or_missing_division_is_rejected() -> None:
    with pytest.raises(ValueError, match="999999"):
        synth.county(1, 10, ["999999"], TODAY)
    with pytest.raises(ValueError):
        synth.county(1, 10, [], TODAY)
