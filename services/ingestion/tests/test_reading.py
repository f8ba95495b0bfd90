"""Reading events from bytes: decoder, schema and checks follow one definition."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from common.events.kinds import KINDS
from common.events.population import event_struct, population_schemas
from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion.domain.problems import PROBLEMS, QUARANTINE, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Rejected
from ingestion.reading.bodies import Unreadable, split_batch
from ingestion.reading.events import read_event, reopen
from ingestion.reading.faults import explain
from ingestion.register.sources import registered
from jsonschema_rs import Draft202012Validator

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def one_of_each(people):
    number = people.number(1)
    return {
        "registration": people.registration(number),
        "residence": people.residence(number),
        "death": people.event("death", number, {"evidence": "cremation"}, id="1", valid_from="2026-11-20"),
        "alive": people.event("alive", number, {"method": "visit"}, id="2", valid_from="2026-11-20"),
        "disability": people.event(
            "disability", number, {"certificate_no": number + "42B1", "class": 4, "level": 2}, id="3"
        ),
        "low_income": people.event("low_income", number, {"category": "tekun", "support": "scattered"}, id="4"),
        "household": people.event("household", number, {"household_no": "1", "members": [number]}, id="5"),
        "living_situation": people.event("living_situation", number, {"tags": ["alone"]}, id="6"),
        "special_family": people.event("special_family", number, {"only_child": "dead"}, id="7"),
        "identity_change": people.renumbered(number, people.number(2)),
    } | {
        kind: people.event(kind, number, value, id=f"further-{n}")
        for n, (kind, value) in enumerate(people.further.items())
    }


def test_every_kind_is_read_and_read_again_from_its_kept_form(one_of_each):
    assert set(one_of_each) == set(KINDS)
    schemas = population_schemas()
    for kind, event in one_of_each.items():
        read = read_event(msgspec.json.encode(event), NOW)
        assert isinstance(read, Pushed), read
        assert reopen(read.kept) == read
        Draft202012Validator(schemas[kind], validate_formats=True).validate(event)


def test_a_name_that_ends_with_a_line_break_is_rejected_but_readable_if_an_earlier_version_accepted_it(people):
    event = people.registration(people.number(1), id="psb-1\n", previous="psb-0\n", action="corrected")
    clean = people.registration(people.number(1))
    read, accepted = read_event(msgspec.json.encode(event), NOW), read_event(msgspec.json.encode(clean), NOW)
    assert isinstance(read, Rejected)
    assert isinstance(accepted, Pushed)
    kept = accepted.kept.replace("张三丰".encode(), "张三丰\\n".encode())
    assert kept != accepted.kept
    assert reopen(kept) == accepted
    again = reopen(kept.replace(accepted.id.encode(), accepted.id.encode() + b"\\n"))
    assert (again.name, again.id) == ("张三丰", accepted.id + "\n")


def test_the_published_schema_allows_any_value_where_it_is_ignored(one_of_each):
    schemas = population_schemas()
    for kind, event in one_of_each.items():
        judge = Draft202012Validator(schemas[kind], validate_formats=True)
        for action, allowed in (("annulled", True), ("ended", True), ("created", False), ("corrected", False)):
            for row in ({"no": ["such", "field"]}, "text", 7):
                changed = event | {"data": event["data"] | {"action": action, "value": row}}
                assert judge.is_valid(changed) == allowed, (kind, action, row)


def test_every_registered_source_has_known_kinds_and_a_known_area():
    from common.codes import divisions

    for source in registered().values():
        assert set(source.ranks) <= set(KINDS)
        assert divisions.known(source.area)
    offices = {(source.area, source.urn.rpartition(":")[2]) for source in registered().values()}
    assert len(offices) == len(registered())
    assert {("530300", "psb"), ("000000", "psb"), ("530302", "visit"), ("141125", "counter")} <= offices
    assert all(source.internal == (urn.endswith((":visit", ":counter"))) for urn, source in registered().items())


def test_the_sources_of_synthetic_people_are_registered():
    import synth

    for city in ("110000", "140700", "140900", "141100", "530300"):
        for urn, kinds in synth.sources(city).items():
            assert kinds <= set(registered()[urn].ranks), urn


def test_every_problem_has_a_text_in_two_languages():
    for code in (*PROBLEMS, *QUARANTINE):
        found = fault("", code)
        assert found.detail.isascii()
        assert not found.detail_zh.isascii()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
PLACES = ("id", "source", "type", "time", "subject", "data", "specversion")
INNER = ("action", "previous_event_id", "person", "valid_from", "valid_to", "value", "x")


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from([(p,) for p in PLACES] + [("data", p) for p in INNER]), value=anything)
def test_an_event_with_any_value_anywhere_is_read_or_rejected_with_a_pointer(place, value):
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:cn:exchange:530300:psb",
        "type": "cn.eldercare.population.residence.v1",
        "time": "2026-11-20T09:30:00+08:00",
        "data": {
            "action": "created",
            "person": {"id_number": "140702194002290014"},
            "value": {"division": "530302"},
        },
    }
    target = event
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    read = read_event(json.dumps(event).encode(), NOW)
    if isinstance(read, Rejected):
        assert read.faults
        assert all(f.pointer == "" or f.pointer.startswith("/") for f in read.faults)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("only", [None, "urn:cn:exchange:530300:psb", "urn:cn:exchange:530300:cdpf"])
def test_an_event_with_an_impossible_time_is_rejected_and_counts_for_no_day_of_its_own(people, time, only):
    event = people.residence(people.number(1)) | {"source": "urn:cn:exchange:530300:psb", "time": time}
    read = read_event(json.dumps(event).encode(), NOW, only_source=only)
    assert isinstance(read, Rejected)
    assert read.day is None


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60) | st.text(alphabet='[]{},":1a\\ ', max_size=60).map(str.encode))
def test_any_bytes_are_split_or_reported_as_unreadable(body):
    try:
        parts = split_batch(body)
    except Unreadable as error:
        fault("", error.code)
        return
    for part in parts:
        assert isinstance(read_event(part, NOW), Rejected)


@pytest.mark.parametrize("tail", [b'"' + b'\\"' * 4_000_000, b"]" * 1_001 + b"[]" * 240_000 + b"x" * 8_000_000])
def test_a_deep_body_of_any_size_is_split_in_linear_time(tail):
    """In quadratic time, each of these bodies would occupy the process for minutes or hours."""
    with pytest.raises(Unreadable) as error:
        split_batch(b"[" * 1_001 + tail)
    assert error.value.code == "not_json"


def test_the_last_day_of_the_calendar_is_reported_and_breaks_no_batch(one_of_each):
    event = one_of_each["risk_incident"]
    event["data"] |= {"valid_from": "9999-12-31", "valid_to": "2026-11-02"}
    read = read_event(msgspec.json.encode(event), NOW)
    assert ("/data/valid_from", "date_range") in [(f.pointer, f.code) for f in read.faults]


def test_the_explanation_agrees_with_the_decoder(one_of_each):
    """An event that only the decoder rejects still gets a pointer."""
    event = one_of_each["residence"]
    event["data"]["valid_from"] = "2026-02-29"
    raw = msgspec.json.encode(event)
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(raw, type=event_struct("residence"))
    (found,) = explain(raw, error.value)
    assert (found.pointer, found.code) == ("/data/valid_from", "date")
