"""A source's own topic determines the sender; its records are treated like HTTP requests."""

from datetime import timedelta

import msgspec
import pytest
from common.events import PersonFactsRecorded, RecordParked
from common.message import Record
from ingestion.channels import receive_inbound
from ingestion.register import sources
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from ingestion.register.store import registry
from shell import clock

CITY = "530300"
PSB = f"urn:cn:exchange:{CITY}:psb"
TOPIC = f"population.inbound.{CITY}.psb"


def structured(event, topic=TOPIC):
    headers = (("content-type", b"application/cloudevents+json"),)
    return Record(topic, 0, 0, None, msgspec.json.encode(event), headers)


def binary(event, topic=TOPIC):
    headers = [(f"ce_{k}", event[k].encode()) for k in ("specversion", "id", "source", "type", "time")]
    return Record(topic, 0, 0, b"k", msgspec.json.encode(event["data"]), headers)


@pytest.fixture
def rejected(database):
    """Source and problems of every rejection."""

    async def _rejected():
        rows = await database.pool.fetch("SELECT source, problems FROM rejections ORDER BY recorded_at, rejection_id")
        problems = [(row["source"], msgspec.json.decode(row["problems"])[0]) for row in rows]
        return sorted((source, problem["pointer"], problem["code"]) for source, problem in problems)

    return _rejected


@pytest.fixture
def change(database, admin):
    """Enter another version of a source."""

    async def _change(urn=PSB, *, replaces=1, **changes):
        await seed_register(database)
        entry = (seed().get(urn) or seed()[PSB]).model_dump(mode="json") | changes
        body = {"entry": entry, "reason": "按通知调整", "replaces": replaces}
        answer = await admin.put(f"/v1/sources/{urn}", json=body)
        assert answer.status_code == 200, answer.text

    return _change


async def test_binary_and_structured_records_are_recorded_once_however_often_they_come(driver, people, push, heads):
    one, two = people.residence(people.number(1), id="号1"), people.residence(people.number(2))
    for _ in range(3):
        await driver.deliver_records([binary(one), structured(one), structured(two)])
    await push(one, two, expect="duplicate")
    assert len(await heads()) == 2
    assert {h.version for h in (await heads()).values()} == {1}


@pytest.mark.parametrize("form", [structured, binary])
async def test_a_record_that_names_another_source_is_a_rejection_of_the_topics_source(
    driver, people, heads, rejected, form
):
    foreign = people.event("disability", people.number(1), {"certificate_no": "x", "class": 1, "level": 1}, id="1")
    foreign |= {"type": people.residence(people.number(1))["type"], "data": people.residence(people.number(1))["data"]}
    own = people.residence(people.number(2))
    await driver.deliver_records([form(foreign), form(own)])
    assert len(await heads()) == 1
    assert await rejected() == [(PSB, "/source", "source_not_of_topic")]


async def test_an_id_used_again_for_another_event_is_a_rejection_and_is_not_lost(driver, people, heads, rejected):
    one, other = (people.residence(people.number(n), id="same") for n in (1, 2))
    for _ in range(2):
        await driver.deliver_records([structured(one), structured(other)])
    assert len(await heads()) == 1
    assert await rejected() == [(PSB, "/id", "id_reused")]


async def test_no_record_on_a_topic_ever_counts_for_another_source(driver, people, admin, rejected):
    """A faulty record that names another source does not count for that source."""
    victim = f"urn:cn:exchange:{CITY}:grid"
    wrong = people.residence(people.number(1)[:17] + "?", id="w") | {"source": victim}
    undecodable = {"specversion": "1.0", "id": "u", "source": victim}
    unknown = people.residence(people.number(2)) | {"source": "urn:cn:exchange:530300:nobody"}
    await driver.deliver_records([structured(e) for e in (wrong, undecodable, unknown)])
    assert {source for source, _, _ in await rejected()} == {PSB}
    day = (await admin.get(f"/v1/sources/{victim}/completeness", params={"day": "2026-11-20"})).json()
    assert day["rejected"] == 0


async def test_bad_records_are_rejections_of_their_source_and_the_other_records_are_accepted(driver, people, rejected):
    wrong = people.residence(people.number(3)[:17] + "?", id="wrong")
    bad = [
        Record(TOPIC, 0, 0, None, None, ()),
        Record(TOPIC, 0, 0, None, b"\xff\xfe", ()),
        Record(TOPIC, 0, 0, None, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ()),
        Record(TOPIC, 0, 0, None, b"[]", (("ce_specversion", b"\xff"),)),
        Record(TOPIC, 0, 0, None, b"[]", (("ce_specversion", b"1.0"), ("ce_id", None))),
        structured(wrong),
        binary(wrong | {"id": "wrong-2"}),
    ]
    mixed = [r for n, b in enumerate(bad) for r in (b, structured(people.residence(people.number(50 + n))))]
    await driver.deliver_records(mixed)
    assert len(await driver.emitted(PersonFactsRecorded)) == len(bad)
    assert await driver.emitted(RecordParked) == []
    assert await rejected() == [
        (PSB, "", "not_json"),
        (PSB, "", "not_utf8"),
        (PSB, "", "too_deep"),
        (PSB, "/data/person/id_number", "id_characters"),
        (PSB, "/data/person/id_number", "id_characters"),
        (PSB, "/type", "required"),
        (PSB, "/type", "required"),
    ]


async def test_records_of_suspended_sources_and_unregistered_topics_are_rejected(
    driver, people, change, rejected, heads
):
    await change(active=False)
    await driver.deliver_records([structured(people.residence(people.number(1)))])
    await change(replaces=2, kafka=False)
    await driver.deliver_records([structured(people.residence(people.number(2), id="2"))])
    assert await heads() == {}
    assert await rejected() == [(PSB, "/source", "source_suspended"), (PSB, "/source", "topic_not_registered")]


@pytest.mark.parametrize("topic", ["population.inbound.530300.nobody", "population.inbound.of-nobody"])
async def test_a_topic_of_no_registered_source_is_parked_and_counted(driver, people, admin, heads, topic):
    event = people.residence(people.number(1)) | {"source": "urn:cn:exchange:530300:nobody"}
    await driver.deliver_records([structured(event, topic)])
    assert await heads() == {}
    assert [p.reason for p in await driver.emitted(RecordParked)] == ["source_unknown"]
    (count,) = (await admin.get("/v1/unverified")).json()["counts"]
    expected = {"day": "2026-11-22", "topic": topic, "source": "unknown", "reason": "source_unknown", "records": 1}
    assert count == expected | {"parked": 1}


async def test_a_new_source_may_send_on_its_topic_as_soon_as_it_is_entered(driver, people, change, heads):
    new = "urn:cn:exchange:530300:hospital"
    event = people.residence(people.number(1)) | {"source": new}
    await change(new, replaces=0, kafka=True)
    await driver.deliver_records([structured(event, "population.inbound.530300.hospital")])
    assert len(await heads()) == 1


async def test_a_correction_may_come_by_another_channel_than_its_predecessor(driver, people, push, heads):
    number = people.number(1)
    await driver.deliver_records([structured(people.residence(number, id="r2", action="corrected", previous="r1"))])
    assert await heads() == {}
    await push(people.residence(number, id="r1"), expect="accepted")
    (head,) = (await heads()).values()
    assert len(head.statements) == 2


async def test_a_revoked_death_with_its_whole_row_counts_here_too(driver, people, facts_of, database):
    """Kafka has no receipts, so there is no note about the ignored value."""
    number, row = people.number(1), {"evidence": 7, "remark": ["x"]}
    death = people.event("death", number, {"evidence": "register_cancelled"}, id="d")
    one = people.event("death", number, row, id="o", action="annulled", previous="d")
    await driver.deliver_records([structured(death), binary(one)])
    assert list((await facts_of()).values()) == [()]
    assert await database.pool.fetchval("SELECT count(*) FROM rejections") == 0
    assert await driver.emitted(RecordParked) == []


async def test_unverified_records_are_counted_by_the_day_of_business_time(driver, people, admin):
    event = people.residence(people.number(1))
    await driver.deliver_records([structured(event, "population.inbound.530300.nobody")])
    clock.set_now(people.NOW + timedelta(days=1))
    await driver.deliver_records([structured(event, "population.inbound.530300.nobody")])
    counts = (await admin.get("/v1/unverified", params={"since": "2026-11-22", "until": "2026-11-23"})).json()["counts"]
    assert [(c["day"], c["records"]) for c in counts] == [("2026-11-22", 1), ("2026-11-23", 1)]


async def test_a_record_that_comes_before_this_process_knows_its_source_is_not_lost(driver, people, database, heads):
    """Another process has entered the source within the last seconds."""
    await seed_register(database)
    new = "urn:cn:exchange:530300:hospital"
    entry = seed()[PSB].model_copy(update={"kafka": True}).model_dump_json().encode()
    async with driver.transaction() as tx:
        await registry.insert_versions(tx, [registry.NewVersion(new, 1, clock.now(), entry, "another", "x")])
    assert new not in sources.registered()
    event = people.residence(people.number(1)) | {"source": new}
    await driver.deliver_records([structured(event, "population.inbound.530300.hospital")])
    assert len(await heads()) == 1


async def test_a_source_that_is_registered_while_its_record_is_read_is_not_lost(
    driver, people, database, heads, monkeypatch
):
    """Another task of this process refreshes the register after the sender was looked up."""
    await seed_register(database)
    new = "urn:cn:exchange:530300:hospital"
    entry = seed()[PSB].model_copy(update={"kafka": True}).model_dump_json().encode()
    real = receive_inbound.find_senders

    async def interrupted(records):
        found = await real(records)
        async with driver.transaction() as tx:
            await registry.insert_versions(tx, [registry.NewVersion(new, 1, clock.now(), entry, "another", "x")])
        await sources.refresh(database, now=True)
        return found

    monkeypatch.setattr(receive_inbound, "find_senders", interrupted)
    event = people.residence(people.number(1)) | {"source": new}
    await driver.deliver_records([structured(event, "population.inbound.530300.hospital")])
    assert len(await heads()) == 1
