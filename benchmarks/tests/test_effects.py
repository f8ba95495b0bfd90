"""Tests of the latencies from pushed events to records."""

import msgspec

from benchmarks.effects import FirstSeen, causes_of, event_class, latencies, receipts

HEADERS = [("ce_type", b"cn.eldercare.dispatch.v1.VisitCancelled"), ("ce_correlationid", b"a")]


def test_a_record_names_its_correlation_and_all_its_causes() -> None:
    assert causes_of(HEADERS, msgspec.json.encode({"causes": ["b", "c"], "person_id": "p"})) == {"a", "b", "c"}
    assert causes_of(HEADERS, b"{}") == {"a"}
    assert causes_of([], None) == set()


def test_the_class_of_an_event_is_the_last_part_of_its_type() -> None:
    assert event_class(HEADERS) == "VisitCancelled"
    assert event_class([]) == ""


def test_only_the_first_record_of_a_cause_counts() -> None:
    seen = FirstSeen()
    seen.note(["a"], 11.0)
    seen.note(["a", "b"], 12.0)
    assert latencies({"a": 10.0, "b": 10.0, "without effect": 10.0}, seen.at) == [1.0, 2.0]


def test_receipts_come_in_the_order_of_the_events() -> None:
    body = msgspec.json.encode({"results": [{"event_id": "1"}, {"event_id": "2"}]})
    assert [receipt["event_id"] for receipt in receipts(body)] == ["1", "2"]
