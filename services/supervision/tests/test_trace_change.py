"""The chain of a change, from records on topics to the answer of the API."""

import gc
from datetime import timedelta
from typing import Any

import pytest
from common.events import PersonFactsRecorded, PolicyVersionPublished, RecordParked
from common.message import Record
from shell import clock
from shell.kafka.dispatch import dispatch
from shell.store.database import Database
from shell.testing import Driver
from supervision.main import service
from supervision.record_steps import remove_old

NOON = clock.datetime.fromisoformat("2026-11-20T04:00:00+00:00")


def later(seconds: float) -> Any:
    return NOON + timedelta(seconds=seconds)


def facts(person_id: str, *causes: str, version: int = 1) -> PersonFactsRecorded:
    return PersonFactsRecorded(person_id=person_id, version=version, recorded_at=NOON, statements=(), causes=causes)


async def trace(client: Any, event_id: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/trace/{event_id}")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["steps"]
    return found


async def chain(make: Any, person_id: str, change: str) -> list[Record]:
    first = make.record(facts(person_id, change), at=later(0), causation_id=change)
    second = make.record(
        make.decided(person_id, make.entitlement(), causes=(change,)), at=later(0.1), causation_id=make.id_of(first)
    )
    task = make.id()
    third = make.record(
        make.planned(person_id, task), at=later(0.2), correlation_id=change, causation_id=make.id_of(second)
    )
    fourth = make.record(
        make.offered(person_id, task), at=later(0.3), correlation_id=change, causation_id=make.id_of(third)
    )
    return [first, second, third, fourth]


async def test_a_change_is_traced_through_every_service_oldest_first(driver: Driver, make: Any, api: Any) -> None:
    person, change = make.id(), make.id()
    records = await chain(make, person, change)
    for record in (records[3], records[1], records[0], records[2]):  # topics are not read in causal order
        await driver.deliver_records([record])
    steps = await trace(api(division="530300"), change)
    assert [(s["service"], s["what"]) for s in steps] == [
        ("ingestion", "PersonFactsRecorded"),
        ("identification", "EntitlementsDecided"),
        ("dispatch", "VisitPlanned"),
        ("dispatch", "VisitOffered"),
    ]
    assert [s["event_id"] for s in steps] == [make.id_of(r) for r in records]
    assert [s["causation_id"] for s in steps[1:]] == [make.id_of(r) for r in records[:3]]
    assert {s["person_id"] for s in steps} == {person}
    assert steps[0]["at"] == "2026-11-20T04:00:00Z"
    assert set(steps[0]) == {"at", "service", "what", "person_id", "event_id", "causation_id"}


async def test_steps_delivered_three_times_are_stored_once(driver: Driver, database: Database, make: Any) -> None:
    records = await chain(make, make.id(), make.id())
    await driver.deliver_records([*records, *records])
    await driver.deliver_records([records[2], records[0]])
    assert await database.pool.fetchval("SELECT count(*) FROM steps") == 4
    assert await database.pool.fetchval("SELECT count(*) FROM parked") == 0


async def test_a_new_step_in_a_batch_with_a_stored_one_is_not_lost(
    driver: Driver, database: Database, make: Any
) -> None:
    records = await chain(make, make.id(), make.id())
    await driver.deliver_records(records[:1])
    await driver.deliver_records(records)
    assert await database.pool.fetchval("SELECT count(*) FROM steps") == 4
    assert await database.pool.fetchval("SELECT count(*) FROM parked") == 0


async def test_a_state_that_combines_two_changes_shows_its_consequences_for_both(
    driver: Driver, make: Any, api: Any
) -> None:
    person, first, second = make.id(), make.id(), make.id()
    own = make.record(facts(person, first), at=later(0))
    merged = make.record(facts(person, second, version=2), at=later(1))
    united = make.record(
        make.decided(person, make.entitlement(), version=2, causes=(first, second)),
        at=later(2),
        correlation_id=second,
        causation_id=make.id_of(merged),
    )
    visit = make.record(
        make.planned(person, make.id()), at=later(3), correlation_id=second, causation_id=make.id_of(united)
    )
    offer = make.record(
        make.offered(person, make.id()), at=later(4), correlation_id=second, causation_id=make.id_of(visit)
    )
    await driver.deliver_records([own, merged, united, visit, offer])
    whole = ["PersonFactsRecorded", "EntitlementsDecided", "VisitPlanned", "VisitOffered"]
    assert [s["what"] for s in await trace(api(), first)] == whole
    assert (await trace(api(), first))[0]["event_id"] == make.id_of(own)
    assert (await trace(api(), second))[0]["event_id"] == make.id_of(merged)
    assert [s["what"] for s in await trace(api(), second)] == whole


async def test_a_consequence_timed_before_its_cause_is_shown_for_every_combined_change(
    driver: Driver, make: Any, api: Any
) -> None:
    person, first, second = make.id(), make.id(), make.id()
    own = make.record(facts(person, first), at=later(0))
    united = make.record(
        make.decided(person, make.entitlement(), version=2, causes=(first, second)),
        at=later(2),
        correlation_id=second,
        causation_id=make.id_of(own),
    )
    planned = make.planned(person, make.id())
    visit = make.record(planned, at=later(1.5), correlation_id=second, causation_id=make.id_of(united))
    offered = make.offered(person, make.id())
    offer = make.record(offered, at=later(1), correlation_id=second, causation_id=make.id_of(visit))
    await driver.deliver_records([own, united, visit, offer])
    whole = ["PersonFactsRecorded", "EntitlementsDecided", "VisitPlanned", "VisitOffered"]
    assert [s["what"] for s in await trace(api(), first)] == whole


async def test_nothing_is_stored_if_the_process_ends_before_the_commit(
    driver: Driver, database: Database, make: Any
) -> None:
    records = await chain(make, make.id(), make.id())

    class Killed(BaseException):
        pass

    async def die() -> None:
        async with database.transaction() as tx:
            await dispatch(tx, "supervision", service.handlers, records)
            raise Killed

    with pytest.raises(Killed):
        await die()
    assert await database.pool.fetchval("SELECT count(*) FROM steps") == 0
    await driver.deliver_records(records)
    assert await database.pool.fetchval("SELECT count(*) FROM steps") == 4
    assert await database.pool.fetchval("SELECT count(*) FROM tasks") == 1


async def test_an_officer_sees_only_steps_of_people_in_the_area(driver: Driver, make: Any, api: Any) -> None:
    person, change = make.id(), make.id()
    await driver.deliver_records(await chain(make, person, change))
    assert len(await trace(api(division="530302"), change)) == 4
    assert await trace(api(division="140700"), change) == []
    refused = await api(division="140700").get(f"/v1/persons/{person}/steps")
    assert refused.status_code == 403
    assert (await api("provider").get(f"/v1/trace/{change}")).status_code == 403


async def test_a_persons_steps_come_newest_first_in_pages(driver: Driver, make: Any, api: Any) -> None:
    person, change = make.id(), make.id()
    records = await chain(make, person, change)
    await driver.deliver_records([*records, *await chain(make, make.id(), make.id())])
    client, seen, after = api(), [], None
    while True:
        params = {"limit": 3, **({"after": after} if after else {})}
        page = (await client.get(f"/v1/persons/{person}/steps", params=params)).json()
        seen += page["steps"]
        after = page["next"]
        if after is None:
            break
    assert [s["event_id"] for s in seen] == [make.id_of(r) for r in reversed(records)]
    assert all(s["changes"] == [change] for s in seen)
    assert (await client.get(f"/v1/persons/{person}/steps?after=yesterday")).status_code == 400


async def test_an_unknown_change_has_no_steps(api: Any, make: Any) -> None:
    assert await trace(api(), make.id()) == []
    assert (await api().get("/v1/trace/not-an-id")).status_code == 422


async def test_steps_older_than_ninety_days_are_removed(driver: Driver, database: Database, make: Any) -> None:
    old = make.record(facts(make.id(), make.id()), at=NOON - timedelta(days=90, seconds=1))
    young = make.record(facts(make.id(), make.id()), at=NOON - timedelta(days=89))
    await driver.deliver_records([old, young])
    assert await remove_old(database) == 1
    assert await remove_old(database) == 0
    assert [r[0] for r in await database.pool.fetch("SELECT event_id FROM steps")] == [make.id_of(young)]


async def test_a_published_policy_and_a_parked_record_are_steps_without_a_person(
    driver: Driver, database: Database, make: Any
) -> None:
    policy = PolicyVersionPublished(jurisdiction="530302", version="1f", published_on=NOON.date(), list={})
    parked = RecordParked(parked_id=make.id(), service="dispatch", reason="bug", topic_name="x", partition=0, offset=0)
    await driver.deliver_records([make.record(policy), make.record(parked, topic="dispatch.parked")])
    rows = await database.pool.fetch("SELECT service, what, person_id FROM steps ORDER BY service")
    assert [tuple(row) for row in rows] == [
        ("dispatch", "RecordParked", None),
        ("policy", "PolicyVersionPublished", None),
    ]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"ce_id": b"not a uuid"},
        {"ce_time": b"yesterday"},
        {"ce_time": b"2026-11-20T04:00:00+00:00\t\\N"},
        {"ce_correlationid": b"\xff"},
    ],
)
async def test_a_broken_envelope_is_parked_and_its_neighbours_are_stored(
    driver: Driver, database: Database, make: Any, spoilt: dict[str, bytes]
) -> None:
    good = make.record(facts(make.id(), make.id()))
    bad = make.record(facts(make.id(), make.id()))
    headers = [(name, spoilt.get(name, value)) for name, value in bad.headers]
    await driver.deliver_records([good, Record(bad.topic, 0, 0, bad.key, bad.value, headers)])
    assert await database.pool.fetchval("SELECT count(*) FROM steps") == 1
    assert await database.pool.fetchval("SELECT count(*) FROM parked") == 1


async def test_a_batch_creates_no_reference_cycles(driver: Driver, make: Any) -> None:
    """The cycle collector runs so rarely in a service that whole batches would accumulate."""
    batches = [[make.record(facts(make.id(), make.id())) for _ in range(20)] for _ in range(3)]
    await driver.deliver_records(batches[0])
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for batch in [*batches[1:], *batches[1:]]:  # the second time every step is stored already
            await driver.deliver_records(batch)
        gc.collect()
        assert [thing for thing in gc.garbage if isinstance(thing, type)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
