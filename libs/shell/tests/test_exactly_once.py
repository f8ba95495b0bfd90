"""Consumer, inbox, outbox and parked records on a real PostgreSQL: every event has its effect exactly once."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import NAMESPACE_URL, uuid4, uuid5

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from common.errors import Conflict, Unavailable
from common.events import AbilitiesDetermined, RecordParked, VisitMissed, VisitPlanned
from common.message import Message, Record, derived_id
from shell.kafka.consumer import BACKLOG_RECORDS, Consumer
from shell.kafka.dispatch import Handlers, dispatch
from shell.kafka.positions import Fenced, Positions
from shell.settings import settings
from shell.store.database import Database
from shell.store.outbox import PACK_MAX
from shell.store.parked import take_parked
from shell.store.transaction import Origin, Tx
from shell.testing import Driver, event_record

DAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def missed(task_id: str = "", person_id: str = "p1") -> VisitMissed:
    return VisitMissed(
        person_id=person_id,
        task_id=task_id or str(uuid4()),
        item="visiting_care",
        division="530302",
        window_from=DAY,
        window_to=DAY,
    )


def ability(person_id: str, version: int, causes: tuple[str, ...] = ()) -> AbilitiesDetermined:
    return AbilitiesDetermined(
        person_id=person_id, version=version, recorded_at=NOW, abilities=(), causes=causes or (str(uuid4()),)
    )


async def write_down(messages: Sequence[Message[VisitMissed]], tx: Tx) -> None:
    for message in messages:
        if message.data.task_id == "poison":
            raise ZeroDivisionError
        if message.data.task_id == "away":
            raise Unavailable
    await tx.sql.executemany("INSERT INTO seen (task_id) VALUES ($1)", [(m.data.task_id,) for m in messages])


async def only_write(messages: Sequence[Message[VisitMissed]], tx: Tx) -> None:
    await tx.sql.executemany("INSERT INTO seen (task_id) VALUES ($1)", [(m.data.task_id,) for m in messages])


async def seen(database: Database) -> list[str]:
    return [row["task_id"] for row in await database.pool.fetch("SELECT task_id FROM seen ORDER BY n")]


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, Handlers({VisitMissed: write_down}))


async def test_an_event_delivered_three_times_is_handled_once(database: Database, driver: Driver) -> None:
    await driver.deliver(missed("a"), missed("b"), times=3)
    assert await seen(database) == ["a", "b"]


async def test_an_event_twice_in_one_batch_is_handled_once(database: Database, driver: Driver) -> None:
    record = event_record(missed("a"))
    await driver.deliver_records([record, record])
    assert await seen(database) == ["a"]


async def test_one_poisonous_record_is_parked_and_its_neighbours_are_handled(
    database: Database, driver: Driver
) -> None:
    events = [missed(f"{n}", f"p{n}") for n in range(20)]
    events[13] = missed("poison", "p13")
    await driver.deliver(*events)
    assert await seen(database) == [str(n) for n in range(20) if n != 13]
    (parked,) = await driver.emitted(RecordParked)
    assert (parked.reason, parked.offset, parked.service) == ("bug", 13, "probe")


async def test_an_undecodable_record_is_parked_at_once_with_its_reason(database: Database, driver: Driver) -> None:
    good, bad = event_record(missed("a")), event_record(missed("b", "p2"))
    broken = Record(bad.topic, 0, 0, bad.key, b'{"task_id": 7', bad.headers)
    await driver.deliver_records([broken, good])
    assert await seen(database) == ["a"]
    row = await database.pool.fetchrow("SELECT reason, sealed FROM parked")
    assert row["reason"] == "undecodable_VisitMissed"
    assert b"task_id" not in row["sealed"]


async def test_what_follows_a_parked_record_of_the_same_person_waits_behind_it(
    database: Database, driver: Driver
) -> None:
    await driver.deliver(missed("poison", "p1"))
    await driver.deliver(missed("later", "p1"), missed("other", "p2"))
    assert await seen(database) == ["other"]
    reasons = await database.pool.fetch("SELECT reason FROM parked ORDER BY parked_at")
    assert [row["reason"] for row in reasons] == ["bug", "behind_parked"]


async def test_what_follows_a_parked_record_waits_however_many_records_are_parked(
    database: Database, driver: Driver
) -> None:
    await database.pool.execute(
        """INSERT INTO parked (parked_id, consumer, topic, part, "offset", key, sealed, reason)
           SELECT gen_random_uuid(), 'probe', 'dispatch.visit', 0, n, ('a' || n)::bytea, '', 'bug'
           FROM generate_series(1, 10001) n"""
    )
    await driver.deliver(missed("poison", "p1"))
    await driver.deliver(missed("later", "p1"), missed("other", "p2"))
    assert await seen(database) == ["other"]


async def test_a_newer_state_supersedes_a_parked_one(database: Database) -> None:
    handled: list[int] = []

    async def on_abilities(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
        if any(m.data.version == 1 for m in messages):
            raise ZeroDivisionError
        handled.extend(m.data.version for m in messages)

    driver = Driver(database, Handlers({AbilitiesDetermined: on_abilities}))
    await driver.deliver(ability("p1", 1))
    await driver.deliver(ability("p1", 2))
    assert handled == [2]
    assert await database.pool.fetchval("SELECT state FROM parked") == "superseded"


async def test_an_older_state_never_supersedes_a_newer_parked_one(database: Database) -> None:
    """The newer state cannot be decoded. It waits for an operator, whether or not the older one is in its batch."""
    handled: list[int] = []

    async def on_abilities(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
        handled.extend(m.data.version for m in messages)

    driver = Driver(database, Handlers({AbilitiesDetermined: on_abilities}))
    older, newer = event_record(ability("p1", 1)), event_record(ability("p1", 2))
    await driver.deliver_records([older, newer._replace(value=b'{"version": 2')])
    assert handled == [1]
    assert await database.pool.fetchval("SELECT state FROM parked") == "parked"
    await driver.deliver(ability("p1", 3))
    assert await database.pool.fetchval("SELECT state FROM parked") == "superseded"


async def test_an_event_before_a_parked_record_of_the_same_person_is_handled(
    database: Database, driver: Driver
) -> None:
    before, broken, after = (
        event_record(missed("before")),
        event_record(missed("broken")),
        event_record(missed("after")),
    )
    await driver.deliver_records([before, broken._replace(value=b'{"task_id": 7'), after])
    assert await seen(database) == ["before"]
    reasons = await database.pool.fetch('SELECT reason FROM parked ORDER BY "offset"')
    assert [row["reason"] for row in reasons] == ["undecodable_VisitMissed", "behind_parked"]


async def test_states_of_a_batch_are_folded_to_the_newest_with_all_causes(database: Database) -> None:
    got: list[Message[AbilitiesDetermined]] = []

    async def on_abilities(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
        got.extend(messages)

    causes = [str(uuid4()) for _ in range(3)]
    driver = Driver(database, Handlers({AbilitiesDetermined: on_abilities}))
    await driver.deliver(*(ability("p1", n + 1, (causes[n],)) for n in (0, 2, 1)), ability("p2", 1))
    assert [(m.data.person_id, m.data.version) for m in got] == [("p1", 3), ("p2", 1)]
    assert set(got[0].causes) == set(causes)


async def test_a_parked_record_can_be_replayed_when_the_bug_is_gone(database: Database, driver: Driver) -> None:
    await driver.deliver(missed("poison", "p1"))
    parked_id = await database.pool.fetchval("SELECT parked_id FROM parked")

    async with database.transaction() as tx:
        record, consumer, generation = await take_parked(tx, parked_id)
        await dispatch(tx, consumer, Handlers({VisitMissed: only_write}), [record], generation)
    assert await seen(database) == ["poison"]
    assert await database.pool.fetchval("SELECT state FROM parked") == "replayed"


async def test_a_replayed_event_that_is_read_again_has_no_second_effect(database: Database, driver: Driver) -> None:
    """An operator moved the position back to before the parked record, or the relay sent the event twice."""
    poison = event_record(missed("poison", "p1"))
    await driver.deliver_records([poison])
    parked_id = await database.pool.fetchval("SELECT parked_id FROM parked")
    mended = Handlers({VisitMissed: only_write})
    async with database.transaction() as tx:
        record, consumer, generation = await take_parked(tx, parked_id)
        await dispatch(tx, consumer, mended, [record], generation)
    await Driver(database, mended).deliver_records([event_record(missed("first", "p2")), poison])
    assert await seen(database) == ["poison", "first"]


async def test_what_waits_behind_a_parked_record_is_replayed_after_it_and_not_before(
    database: Database, driver: Driver
) -> None:
    await driver.deliver(missed("poison", "p1"))
    await driver.deliver(missed("later", "p1"))
    first, second = [
        row["parked_id"] for row in await database.pool.fetch('SELECT parked_id FROM parked ORDER BY "offset"')
    ]
    mended = Handlers({VisitMissed: only_write})

    async def replay(parked_id: str) -> None:
        async with database.transaction() as tx:
            record, consumer, generation = await take_parked(tx, parked_id)
            await dispatch(tx, consumer, mended, [record], generation)

    with pytest.raises(Conflict):
        await replay(second)
    await replay(first)
    await replay(second)
    assert await seen(database) == ["poison", "later"]
    assert await database.pool.fetchval("SELECT count(*) FROM parked WHERE state = 'parked'") == 0


async def test_a_broken_record_that_is_replayed_stays_parked(database: Database, driver: Driver) -> None:
    bad = event_record(missed("b"))
    await driver.deliver_records([Record(bad.topic, 0, 0, bad.key, b"{", bad.headers)])
    parked_id = await database.pool.fetchval("SELECT parked_id FROM parked")
    async with database.transaction() as tx:
        record, consumer, generation = await take_parked(tx, parked_id)
        await dispatch(tx, consumer, driver.consumer.handlers, [record], generation)
    assert await database.pool.fetchval("SELECT state FROM parked") == "parked"


async def test_a_header_without_a_value_neither_breaks_a_batch_nor_a_replay(database: Database, driver: Driver) -> None:
    poison = event_record(missed("poison", "p1"))
    odd = poison._replace(headers=[*poison.headers, ("ce_causationid", None)])
    await driver.deliver_records([odd])
    parked_id = await database.pool.fetchval("SELECT parked_id FROM parked")
    async with database.transaction() as tx:
        record, consumer, generation = await take_parked(tx, parked_id)
        await dispatch(tx, consumer, Handlers({VisitMissed: only_write}), [record], generation)
    assert await seen(database) == ["poison"]


async def test_an_absent_peer_is_waited_for_and_nothing_is_parked(database: Database, driver: Driver) -> None:
    with pytest.raises(Unavailable):
        await driver.deliver(missed("a"), missed("away"))
    assert await seen(database) == []
    assert await database.pool.fetchval("SELECT count(*) FROM parked") == 0
    assert await database.pool.fetchval("SELECT next_offset FROM consumer_offsets") is None


async def test_a_process_that_lost_its_partition_cannot_commit(database: Database, driver: Driver) -> None:
    await driver.deliver(missed("a"))
    other = Consumer("probe", database, driver.consumer.handlers, settings())
    await other.take_over([TopicPartition("dispatch.visit", 0)])
    record = msgspec.structs.replace(missed("b"))
    late = event_record(record, offset=1)
    with pytest.raises(Fenced):
        await driver.consumer.settle([late])
    await other.settle([late])
    assert await seen(database) == ["a", "b"]


async def test_a_large_batch_lets_wait_what_can(database: Database, driver: Driver) -> None:
    await driver.deliver(*(missed() for _ in range(BACKLOG_RECORDS - 1)))
    assert not database.hurried
    await driver.deliver(*(missed() for _ in range(BACKLOG_RECORDS)))
    assert database.hurried


async def test_what_a_failed_transaction_said_is_not_sent(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            tx.emit(missed("a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await database.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_pending_states_fold_and_keep_their_causes_and_urgency(database: Database) -> None:
    driver = Driver(database, Handlers({}))
    first, second = str(uuid4()), str(uuid4())
    async with database.transaction() as tx:
        tx.emit(ability("p1", 1, (first,)), Origin(causes=(first,)), urgent=True)
    before = await database.pool.fetchval("SELECT seq FROM outbox")
    async with database.transaction() as tx:
        tx.emit(ability("p1", 2, (second,)), Origin(causes=(second,)))
    (row,) = await database.pool.fetch("SELECT seq, urgent FROM outbox")
    assert row["seq"] > before
    assert row["urgent"]
    (event,) = await driver.emitted(AbilitiesDetermined)
    assert event.version == 2
    assert set(event.causes) >= {first, second}


async def test_a_settled_record_that_the_client_hands_out_again_is_left_out(database: Database) -> None:
    place = TopicPartition("dispatch.visit", 0)
    positions = Positions("probe", database)
    records = [ConsumerRecord("dispatch.visit", 0, n, 1_000 + n, 0, None, b"{}", None, 0, 2, ()) for n in (4, 5, 6)]
    client = AIOKafkaConsumer()
    assert [r.offset for r in await positions.unsettled(client, {place: records})] == [4, 5, 6]
    positions.moved({place: 5})
    assert [(r.offset, r.timestamp_ms) for r in await positions.unsettled(client, {place: records})] == [
        (5, 1_005),
        (6, 1_006),
    ]
    await client.stop()


async def test_a_header_without_a_value_counts_as_empty(database: Database) -> None:
    place, headers = TopicPartition("population.inbound", 0), (("ce_specversion", None), ("ce_id", b"1"))
    sent = ConsumerRecord("population.inbound", 0, 1, 1_000, 0, None, b"{}", None, 0, 2, headers)
    client = AIOKafkaConsumer()
    (record,) = await Positions("probe", database).unsettled(client, {place: [sent]})
    assert (record.header("ce_specversion"), record.header("ce_id"), record.header("ce_time")) == ("", "1", None)
    await client.stop()


async def test_what_only_happens_is_packed_into_few_rows_in_its_order_beside_the_states(database: Database) -> None:
    tasks = [f"task-{n}" for n in range(2 * PACK_MAX + 1)]
    async with database.transaction() as tx:
        for task in tasks[:-1]:
            tx.emit(missed(task))
        tx.emit(ability("p1", 1), urgent=True)
        tx.emit(missed(tasks[-1]), urgent=True)
    rows = await database.pool.fetch("SELECT events, state, urgent FROM outbox ORDER BY seq")
    assert [tuple(row) for row in rows] == [
        (PACK_MAX, False, False),
        (PACK_MAX, False, False),
        (1, False, True),
        (1, True, True),
    ]
    told = await Driver(database, Handlers({})).emitted(VisitMissed)
    assert [event.task_id for event in told] == tasks


def test_derived_ids_are_plain_version_five_uuids() -> None:
    expected = uuid5(uuid5(NAMESPACE_URL, "urn:shouwang:events"), "a\x1f1")
    assert derived_id("a", 1) == str(expected)


async def test_the_same_cause_gives_the_same_event_id_on_any_path(database: Database) -> None:
    message = Message(id=str(uuid4()), data=missed("a"), correlation_id=str(uuid4()))
    planned = VisitPlanned(
        person_id="p",
        task_id="t",
        item="visiting_care",
        division="530302",
        window_from=DAY,
        window_to=DAY,
        reason="plan",
        entitlement_id="e",
    )
    ids = []
    for _ in range(2):
        async with database.transaction() as tx:
            ids.append(tx.emit(planned, message))
    assert ids[0] == ids[1]
