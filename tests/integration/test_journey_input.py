"""Pushed events: a rejected event does not affect others, and a repeated event counts once."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from common.events import DuesDetermined, EntitlementsDecided, RecordParked
from shell.kafka.topics import INBOUND, inbound_topic
from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.people import Elder, Event
from shouwang.stories.platform import Answer, Platform, month_text
from shouwang.stories.transcript import expect, only

BATCH = {"content-type": "application/cloudevents-batch+json"}
POLICE = inbound_topic(f"urn:cn:exchange:{people.CITY}:psb")
STRUCTURED: list[tuple[str, bytes]] = [("content-type", b"application/cloudevents+json")]


def changed(event: Event, **path: Any) -> Event:
    """A copy with other values. A key is a path: `data__person__id_number`."""
    copy: Event = json.loads(json.dumps(event))
    for place, value in path.items():
        *way, last = place.split("__")
        inner = copy
        for name in way:
            inner = inner[name]
        inner[last] = value
    return copy


def encoded(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


async def push_raw(platform: Platform, body: bytes) -> Any:
    return await platform.call("POST", "ingestion", "/v1/events", role="admin", content=body, headers=BATCH)


async def test_rejected_events_of_a_batch_do_not_affect_the_others(platform: Platform) -> None:
    now = platform.now()
    elder = platform.cast.aged(85, platform.today())
    good = people.registration(elder, now)
    home = people.residence(elder, now)
    wrong_digit = f"{elder.number[:17]}{'0' if elder.number[17] != '0' else '1'}"
    bad: list[tuple[bytes, str, str]] = [
        (encoded(changed(home, id="b1", data__person__id_number=wrong_digit)), "/data/person/id_number", "id_checksum"),
        (encoded(changed(home, id="b2", data__value__division="999999")), "/data/value/division", "division_unknown"),
        (encoded(changed(home, id="b3", time=(now + timedelta(days=2)).isoformat())), "/time", "time_in_future"),
        (encoded(changed(home, id="b4", source="urn:cn:exchange:530300:nobody")), "/source", "source_unknown"),
        (encoded(changed(home, id="b5", subject=elder.number)), "/subject", "id_number_in_attribute"),
        (b'{"deep":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "", "too_deep"),
        (b"17", "", "not_an_object"),
    ]
    parts = [encoded(good), *(body for body, _, _ in bad), encoded(home)]
    receipt = await push_raw(platform, b"[" + b",".join(parts) + b"]")
    counts = {name: receipt[name] for name in ("received", "accepted", "rejected", "quarantined", "duplicates")}
    expect(
        counts,
        {"received": len(parts), "accepted": 2, "rejected": len(bad), "quarantined": 0, "duplicates": 0},
        "the receipt",
    )
    assert [receipt["results"][place]["status"] for place in (0, -1)] == ["accepted", "accepted"]
    problems = [(p["pointer"], p["code"]) for result in receipt["results"][1:-1] for p in result["problems"][:1]]
    assert [pair for pair, (_, pointer, code) in zip(problems, bad, strict=True) if pair != (pointer, code)] == []
    decided = await platform.watch.event(EntitlementsDecided, await platform.find(elder))
    assert decided.data.residence == elder.town


async def test_an_event_waits_for_its_predecessor_and_is_released_by_it(platform: Platform) -> None:
    elder, now = platform.cast.aged(70, platform.today()), platform.now()
    since = platform.today() - timedelta(days=40)
    first = people.certificate(elder, now - timedelta(hours=2), 3, since)
    correction = people.certificate(elder, now - timedelta(hours=1), 2, since, corrects=first)
    await platform.push(*people.register_entries(elder, now))
    person_id = await platform.find(elder)
    await platform.watch.event(EntitlementsDecided, person_id)
    (waiting,) = await platform.send([correction])
    assert waiting["status"] == "quarantined"
    mark = platform.watch.mark
    await platform.push(first)
    decided = await platform.watch.event(EntitlementsDecided, person_id, since=mark)
    assert any(held.item == "severe_disability_nursing_subsidy" for held in decided.data.entitlements)


async def test_the_same_id_with_other_content_is_rejected(platform: Platform) -> None:
    elder = platform.cast.aged(66, platform.today())
    registration = people.registration(elder, platform.now())
    await platform.push(registration)
    (again,) = await platform.send([changed(registration, data__value__hukou_kind="rural")])
    assert (again["status"], again["problems"][0]["code"]) == ("rejected", "id_reused")


async def test_a_body_of_ten_megabytes_is_rejected_without_a_server_error(platform: Platform) -> None:
    with pytest.raises(Answer) as refused:
        await push_raw(platform, b"[" + b" " * 10_000_000 + b"]")
    assert (refused.value.status, refused.value.code) == (413, "too_large")


async def test_an_event_received_three_times_gives_one_entitlement_and_one_due(platform: Platform) -> None:
    elder, now = platform.cast.aged(85, platform.today()), platform.now()
    events = people.register_entries(elder, now)
    await platform.push(*events)
    for _ in range(2):
        again = await platform.send(events)
        assert [result["status"] for result in again] == ["duplicate", "duplicate"]
    person_id = await platform.find(elder)
    await platform.watch.event(DuesDetermined, person_id)
    mark = platform.watch.mark
    behind = platform.cast.aged(70, platform.today())
    # one key keeps this order
    again = [*events * 3, people.registration(behind, platform.now())]
    await platform.produce(POLICE, [(b"k", encoded(event), STRUCTURED) for event in again])

    async def read() -> bool:
        return await known(platform, behind) is not None

    await platform.until("all of them are read", read)
    await platform.push_by_kafka(people.lives_alone(elder, platform.now(), platform.today() - timedelta(days=30)))
    decided = await platform.watch.event(EntitlementsDecided, person_id, since=mark)
    assert any(held.item == "visiting_care" for held in decided.data.entitlements)
    held = [e for e in await platform.entitlements(person_id) if e["item"] == LONGEVITY]
    assert only(held, "高龄津贴 today")["amount_fen_per_month"] == 5000
    entries = [e for e in (await platform.ledger(person_id))["entries"] if e["item"] == LONGEVITY]
    months = [entry["service_month"] for entry in entries if entry["kind"] == "due"]
    assert months == sorted(set(months))
    assert month_text(platform.today()) in months
    assert len(platform.watch.all_of(DuesDetermined, person_id)) == 1


async def known(platform: Platform, elder: Elder) -> str | None:
    try:
        return await platform.find(elder)
    except Answer:
        return None


async def test_an_unreadable_record_is_rejected_and_the_records_around_it_are_applied(platform: Platform) -> None:
    elder, now = platform.cast.aged(85, platform.today()), platform.now()
    first, second = people.register_entries(elder, now)
    broken = [b"\xff\xfe{", uuid4().bytes.hex().encode() + b"{", encoded(changed(first, source="urn:nobody"))]
    before = await rejected(platform)
    bodies = [encoded(first), *broken, encoded(second)]
    await platform.produce(POLICE, [(b"k", body, STRUCTURED) for body in bodies])
    person_id = await platform.until("the neighbours are applied", lambda: known(platform, elder))
    decided = await platform.watch.event(EntitlementsDecided, person_id, lambda e: e.residence == elder.town)
    assert decided.data.hukou == elder.town
    assert await rejected(platform) == before + len(broken)


async def rejected(platform: Platform) -> int:
    """Rejected events of the police today."""
    path = f"/v1/sources/urn:cn:exchange:{people.CITY}:psb/completeness"
    return int((await platform.get("ingestion", path, day=platform.today().isoformat()))["rejected"])


async def test_an_unsigned_record_on_the_shared_topic_is_parked(platform: Platform) -> None:
    mark = platform.watch.mark
    elder = platform.cast.aged(85, platform.today())
    bodies = [b"{", encoded(people.registration(elder, platform.now()))]
    await platform.produce(INBOUND, [(b"k", body, STRUCTURED) for body in bodies])

    async def parked() -> list[str] | None:
        reasons = [e.data.reason for e in platform.watch.all_of(RecordParked, None, since=mark)]
        return reasons if len(reasons) >= len(bodies) else None

    assert await platform.until("they are parked", parked) == ["signature_missing"] * 2
    assert await known(platform, elder) is None
