"""From pushes and records to waits."""

import msgspec

from benchmarks.sightings import FirstSeen, causes_of, event_class, receipts, waits

HEADERS = [("ce_type", b"cn.eldercare.dispatch.v1.VisitCancelled"), ("ce_correlationid", b"a")]


def test_a_record_goes_back_to_its_correlation_and_to_all_folded_causes() -> None:
    assert causes_of(HEADERS, msgspec.json.encode({"causes": ["b", "c"], "person_id": "p"})) == {"a", "b", "c"}
    assert causes_of(HEADERS, b"{}") == {"a"}
    assert causes_of([], None) == set()


def test_the_kind_of_an_event_is_the_last_part_of_its_type() -> None:
    assert event_class(HEADERS) == "VisitCancelled"
    assert event_class([]) == ""


def test_the_first_sighting_counts_and_later_ones_do_not() -> None:
    seen = FirstSeen()
    seen.note(["a"], 11.0)
    seen.note(["a", "b"], 12.0)
    assert waits({"a": 10.0, "b": 10.0, "without effect": 10.0}, seen.at) == [1.0, 2.0]


def test_receipts_come_in_the_order_of_the_events() -> None:
    body = msgspec.json.encode({"results": [{"event_id": "1"}, {"event_id": "2"}]})
    assert [receipt["event_id"] for receipt in receipts(body)] == ["1", "2"]
