"""A deleted, recreated, refilled or trimmed topic never loses a record silently."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from itertools import count
from time import monotonic
from typing import Literal
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from common.events import VisitMissed
from common.message import Message
from prometheus_client import generate_latest
from shell.kafka import topic_configs
from shell.kafka.client import connection
from shell.kafka.consumer import stands_behind
from shell.kafka.positions import logs_of
from shell.kafka.resumption import Place, decide_resume, load_stored, save_resume
from shell.settings import Settings
from shell.store.database import Database
from shell.store.transaction import Tx
from shell.testing import event_record
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.trials.probe import (
    OnTopic,
    Probe,
    admin_of,
    delete_topic,
    make_topic,
    numbered,
    probe_database,
    trim_topic,
    until,
)

DAY = date(2026, 11, 22)


def missed(task_id: str) -> VisitMissed:
    return VisitMissed(
        person_id="p", task_id=task_id, item="visiting_care", division="530302", window_from=DAY, window_to=DAY
    )


async def on_missed(messages: Sequence[Message[VisitMissed]], tx: Tx) -> None:
    await tx.sql.executemany("INSERT INTO seen VALUES ($1)", [(m.data.task_id,) for m in messages])


@pytest.fixture
def settings(stores: Runtime) -> Settings:
    return stores.kafka_settings(PROVISION).model_copy(update={"poll_ms": 100})


@pytest.fixture
async def database(stores: Runtime) -> AsyncIterator[Database]:
    async with probe_database(stores) as found:
        yield found


@pytest.fixture
async def probe(settings: Settings, database: Database) -> AsyncIterator[Probe]:
    """A reader of two topics. The second must continue, independent of the first."""
    name = f"probe.{uuid4().hex[:8]}"
    for topic in (name, f"{name}.other"):
        await make_topic(settings, topic)
    found = Probe(settings, database, name, [f"{name}.other"])
    await found.start()
    yield found
    await found.stop()
    for topic in (name, f"{name}.other"):
        await delete_topic(settings, topic)


async def resume(probe: Probe, to: Literal["beginning", "end"] | int) -> list[str]:
    """The effect of `shouwang offsets resume`. Returns the sentences that it prints first."""
    place = Place(probe.consumer.name, probe.topic, 0)
    client = AIOKafkaConsumer(**connection(probe.settings))
    await client.start()
    log = (await logs_of(client, [probe.place]))[probe.place]
    await client.stop()
    async with probe.database.transaction() as tx:
        row = await load_stored(tx.sql, place)
        assert row is not None
        decided = decide_resume(place, row, log, to, compacted=False)
        assert await save_resume(tx, decided, "an operator")
    return decided.effects()


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is down"])
async def test_a_recreated_topic_stops_its_reader_until_an_operator_resumes_it(probe: Probe, running: bool) -> None:
    old, new, later = numbered("old", 100), numbered("new", 60), numbered("later", 70)
    await probe.send(*old)
    await probe.until_handled(*old)
    if not running:
        await probe.stop()
    await delete_topic(probe.settings, probe.topic)
    await make_topic(probe.settings, probe.topic)
    await probe.send(*new)
    if not running:
        await probe.start()
    reason = await probe.until_stopped("recreated")
    assert "below the next offset 100" in reason
    await probe.send("other", topic=f"{probe.topic}.other")
    await probe.until_handled(*old, "other")
    sentences = await resume(probe, "beginning")
    assert "The records 0 to 59 (60) are read next." in sentences
    await probe.until_handled(*old, "other", *new)
    await probe.send(*later)
    await probe.until_handled(*old, "other", *new, *later)
    assert probe.consumer.reasons() == []


async def test_a_recreated_topic_with_more_records_than_were_read_is_recognised(probe: Probe) -> None:
    old, new = numbered("old", 100), numbered("new", 150)
    await probe.send(*old)
    await probe.until_handled(*old)
    await probe.stop()
    await delete_topic(probe.settings, probe.topic)
    await make_topic(probe.settings, probe.topic)
    await probe.send(*new)
    await probe.start()
    reason = await probe.until_stopped("recreated")
    assert "the record at offset 99 is not the record that was handled there" in reason
    assert await probe.handled() == old
    await resume(probe, "beginning")
    await probe.until_handled(*old, *new)


async def test_a_stop_survives_a_restart_and_reports_the_records_that_an_operator_skips(probe: Probe) -> None:
    records = numbered("n", 100)
    await probe.send(*records[:20])
    await probe.until_handled(*records[:20])
    await probe.stop()
    await probe.send(*records[20:])
    await trim_topic(probe.settings, probe.topic, 50)
    await probe.start()
    reason = await probe.until_stopped("records_deleted")
    assert "the records 20 to 49 were deleted before they were read" in reason
    await probe.stop()
    await probe.start()
    assert await probe.until_stopped("records_deleted") == reason
    assert await probe.handled() == records[:20]
    sentences = await resume(probe, 60)
    assert any("The records 20 to 49 (30) were deleted unread." in sentence for sentence in sentences)
    assert any("The records 50 to 59 (10) are skipped" in sentence for sentence in sentences)
    await probe.until_handled(*records[:20], *records[60:])
    kept = await probe.database.pool.fetchrow("SELECT * FROM offset_resumes")
    assert (kept["from_offset"], kept["to_offset"], kept["skipped_from"], kept["skipped_to"]) == (20, 60, 50, 59)
    assert (kept["stopped"], kept["resumed_by"]) == ("records_deleted", "an operator")


async def test_records_deleted_before_they_were_read_stop_a_running_reader(probe: Probe) -> None:
    records = numbered("n", 30)
    await probe.send(*records[:10])
    await probe.until_handled(*records[:10])
    await probe.stop()
    await probe.send(*records[10:])
    await probe.start()
    await probe.until_handled(*records)  # it reads again, and continues after its offset was missing for a moment
    await trim_topic(probe.settings, probe.topic, 30)
    await probe.send("after")
    await probe.until_handled(*records, "after")
    assert probe.consumer.reasons() == []


async def test_a_resume_is_seen_by_a_reader_that_is_not_stopped_and_gets_no_new_record(probe: Probe) -> None:
    records = numbered("n", 10)
    await probe.send(*records)
    await probe.until_handled(*records)
    await resume(probe, "beginning")

    async def read_again() -> bool:
        return await probe.handled() == sorted(records * 2)

    await until(read_again, "all records read again")
    assert probe.consumer.reasons() == []


async def test_a_first_start_begins_at_the_oldest_record_of_the_topic(probe: Probe) -> None:
    await probe.stop()
    other = Probe(probe.settings, probe.database, probe.topic)
    records = numbered("n", 40)
    await other.send(*records)
    await trim_topic(other.settings, other.topic, 10)
    await other.start()
    await other.until_handled(*records[10:])
    await other.stop()


async def test_a_repeated_event_has_no_second_effect_after_its_topic_was_recreated(
    probe: Probe, database: Database
) -> None:
    """A topic restored from a backup has the old events with the same ids at other offsets."""
    events = [event_record(missed(str(n)), id=str(uuid4())) for n in range(5)]
    probe.handlers = OnTopic({VisitMissed: on_missed}, topic=probe.topic)
    await probe.stop()
    await probe.start()
    await probe.send_records(events[:4])
    await probe.until_handled("0", "1", "2", "3")
    await delete_topic(probe.settings, probe.topic)
    await make_topic(probe.settings, probe.topic)
    await probe.send_records([events[3], events[1], events[4]])
    await probe.until_stopped("recreated")
    await resume(probe, "beginning")
    await probe.until_handled("0", "1", "2", "3", "4")


async def test_a_reader_continues_after_compaction_and_stops_when_the_topic_is_recreated(
    settings: Settings, database: Database
) -> None:
    topic = f"probe.{uuid4().hex[:8]}"
    eager = {"min_cleanable_dirty_ratio": "0.001", "segment_ms": "100", "max_compaction_lag_ms": "100"}
    await make_topic(settings, topic, cleanup_policy="compact", **eager)
    probe = Probe(settings, database, topic, compacted=True)
    await probe.start()
    versions = numbered("v", 60)
    await probe.send(*versions[:30], keys=["k"] * 30)
    await probe.until_handled(*versions[:30])
    await probe.stop()
    await probe.send(*versions[30:], keys=["k"] * 30)
    await until_compacted(probe, versions[30])
    await probe.send("last", keys=["last"])
    await probe.start()
    await probe.until_has_handled("last")
    assert probe.consumer.reasons() == []
    found = await probe.handled()
    assert len(found) == len(set(found))
    await delete_topic(settings, topic)
    await make_topic(settings, topic, cleanup_policy="compact")
    await probe.send("again", keys=["k"])
    await probe.until_stopped("recreated")
    await resume(probe, "beginning")
    await probe.until_has_handled("again")
    await probe.stop()
    await delete_topic(settings, topic)


async def until_compacted(probe: Probe, gone: str) -> None:
    """Wait until compaction has removed the record after the last handled one."""
    ticks = count()

    async def removed() -> bool:
        # the next record closes a segment, which may then be compacted
        await probe.send(f"tick-{next(ticks)}", keys=["tick"])
        return gone not in await probe.on_topic()

    await until(removed, "the topic was compacted", seconds=120)


async def test_a_reader_at_half_of_the_retention_raises_an_alarm(probe: Probe) -> None:
    """The records have the time of 60 h ago, on a topic that keeps them for 100 h."""
    hour_ms = 3_600_000
    async with admin_of(probe.settings) as admin:
        kept = {"retention.ms": str(100 * hour_ms), "message.timestamp.type": "CreateTime"}
        assert await topic_configs.apply(admin, {probe.topic: kept}) == [probe.topic]
        deadline = monotonic() + 10  # the broker shows a changed setting later
        while again := await topic_configs.apply(admin, {probe.topic: kept}):
            assert monotonic() < deadline, again
            await asyncio.sleep(0.1)
    watch = probe.consumer.retention
    await probe.send("handled", age_ms=61 * hour_ms)
    await probe.until_handled("handled")
    await watch.look(probe.database)
    assert watch.used == {}
    await probe.stop()
    await probe.send("waits", age_ms=60 * hour_ms)
    await watch.look(probe.database)
    assert 0.59 < watch.used[probe.topic].ratio < 0.61
    (reason,) = watch.reasons()
    assert "has used 60% of the 100 h" in reason
    gauge = f'shouwang_retention_used_ratio{{consumer="{probe.consumer.name}",topic="{probe.topic}"}} 0.6'
    assert gauge in generate_latest().decode()


async def test_records_fetched_before_the_client_was_moved_back_are_not_used(probe: Probe) -> None:
    await probe.send(*numbered("value", 5))
    client = AIOKafkaConsumer(**connection(probe.settings))
    await client.start()
    try:
        client.assign([probe.place])
        client.seek(probe.place, 2)
        fetched = [await client.getone() for _ in range(3)]
        assert await stands_behind(client, probe.place, fetched)
        client.seek(probe.place, 0)
        assert not await stands_behind(client, probe.place, fetched)
        assert not await stands_behind(client, TopicPartition(f"{probe.topic}.other", 0), fetched)
    finally:
        await client.stop()
