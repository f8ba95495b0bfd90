from collections import Counter
from datetime import date, datetime

import synth

TODAY = date(2025, 5, 1)


def drawn(faults: synth.Faults) -> list[synth.Push]:
    county = synth.county(21, 1500, ["141125"], TODAY)
    return list(synth.stream(county, 5, 21, faults, synth.Rates(wrong=200, phantom=200, false_death=0.4).times(8)))


def overtaken(pushes: list[synth.Push]) -> int:
    """The number of actions that arrive before the event that they name."""
    all_ids = {p.event["id"] for p in pushes}
    arrived: set[str] = set()
    count = 0
    for push in pushes:
        previous = push.event["data"]["previous_event_id"]
        count += previous in all_ids and previous not in arrived
        arrived.add(push.event["id"])
    return count


def test_pushes_are_in_the_order_of_delivery_and_never_before_their_event_time() -> None:
    pushes = drawn(synth.Faults())
    assert [p.deliver_at for p in pushes] == sorted(p.deliver_at for p in pushes)
    assert all(p.deliver_at >= datetime.fromisoformat(p.event["time"]) for p in pushes)


def test_with_faults_events_are_late_repeated_and_overtaken() -> None:
    pushes = drawn(synth.Faults())
    copies = Counter(p.event["id"] for p in pushes)
    assert set(copies.values()) == {1, 2, 3}
    late = [p for p in pushes if (p.deliver_at - datetime.fromisoformat(p.event["time"])).days >= 7]
    assert len(late) > 0.01 * len(pushes)
    assert overtaken(pushes) > 10


def test_without_faults_everything_arrives_once_and_in_order() -> None:
    pushes = drawn(synth.Faults.none())
    assert max(Counter(p.event["id"] for p in pushes).values()) == 1
    assert overtaken(pushes) == 0
    times = [p.event["time"] for p in pushes]
    assert times == sorted(times)


def test_copies_of_an_event_are_equal() -> None:
    first: dict[str, object] = {}
    for push in drawn(synth.Faults(duplicate=800)):
        assert push.event == first.setdefault(push.event["id"], push.event)


def test_deaths_are_reported_late_by_several_offices_and_some_are_annulled() -> None:
    pushes = drawn(synth.Faults.none())
    deaths = [p.event for p in pushes if p.event["type"].endswith("death.v1")]
    told = [e for e in deaths if e["data"]["action"] == "created"]
    evidences = {e["data"]["value"]["evidence"] for e in told}
    assert evidences == {"register_cancelled", "cremation", "medical_certificate", "reported"}
    lateness = [
        (datetime.fromisoformat(e["time"]).date() - date.fromisoformat(e["data"]["valid_from"])).days for e in told
    ]
    assert sum(days > 28 for days in lateness) > 0.15 * len(lateness)
    assert min(lateness) >= 0
    by_person = Counter(e["data"]["person"]["id_number"] for e in told)
    assert max(by_person.values()) >= 3
    assert any(e["data"]["action"] == "annulled" for e in deaths)
    assert any(p.event["type"].endswith("alive.v1") for p in pushes)
