"""The Kafka door says the same as the HTTP door."""

import msgspec
from common.events import PersonFactsRecorded, RecordParked
from common.message import Record

TOPIC = "population.inbound"


def structured(event):
    headers = (("content-type", b"application/cloudevents+json"),)
    return Record(TOPIC, 0, 0, None, msgspec.json.encode(event), headers)


def binary(event):
    headers = [(f"ce_{k}", event[k].encode()) for k in ("specversion", "id", "source", "type", "time")]
    return Record(TOPIC, 0, 0, b"k", msgspec.json.encode(event["data"]), headers)


async def test_binary_and_structured_records_are_recorded_once_however_often_they_come(driver, people, push, heads):
    one, two = people.residence(people.number(1), id="号1"), people.residence(people.number(2))
    for _ in range(3):
        await driver.deliver_records([binary(one), structured(one), structured(two)])
    await push(one, two, expect="duplicate")
    assert len(await heads()) == 2
    assert {h.version for h in (await heads()).values()} == {1}


async def test_bad_records_are_parked_or_counted_and_their_neighbours_go_through(driver, people, database):
    wrong = people.residence(people.number(3)[:17] + "?", id="wrong")
    nobody = people.residence(people.number(4)) | {"source": "urn:nobody"}
    bad = [
        Record(TOPIC, 0, 0, None, None, ()),
        Record(TOPIC, 0, 0, None, b"\xff\xfe", ()),
        Record(TOPIC, 0, 0, None, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ()),
        Record(TOPIC, 0, 0, None, b"[]", (("ce_specversion", b"\xff"),)),
        structured(nobody),
        structured(wrong),
        binary(wrong | {"id": "wrong-2"}),
    ]
    mixed = [r for n, b in enumerate(bad) for r in (b, structured(people.residence(people.number(50 + n))))]
    await driver.deliver_records(mixed)
    assert len(await driver.emitted(PersonFactsRecorded)) == len(bad)
    reasons = sorted(p.reason for p in await driver.emitted(RecordParked))
    assert reasons == ["not_json", "not_utf8", "required", "source_unknown", "too_deep"]
    rejections = await database.pool.fetch("SELECT problems FROM rejections")
    assert [msgspec.json.decode(r[0])[0]["pointer"] for r in rejections] == ["/data/person/id_number"] * 2


async def test_a_correction_may_come_by_the_other_door_than_its_predecessor(driver, people, push, heads):
    number = people.number(1)
    await driver.deliver_records([structured(people.residence(number, id="r2", action="corrected", previous="r1"))])
    assert await heads() == {}
    await push(people.residence(number, id="r1"), expect="accepted")
    (head,) = (await heads()).values()
    assert len(head.statements) == 2


async def test_a_revoked_death_with_its_whole_row_counts_here_too(driver, people, facts_of, database):
    """No receipt goes back over Kafka, so nothing is told of the ignored value."""
    number, row = people.number(1), {"evidence": 7, "remark": ["x"]}
    death = people.event("death", number, {"evidence": "register_cancelled"}, id="d")
    one = people.event("death", number, row, id="o", action="annulled", previous="d")
    await driver.deliver_records([structured(death), binary(one)])
    assert list((await facts_of()).values()) == [()]
    assert await database.pool.fetchval("SELECT count(*) FROM rejections") == 0
    assert await driver.emitted(RecordParked) == []
