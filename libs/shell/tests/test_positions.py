"""Whether a log continues where its reader stood, and what it means to read on elsewhere."""

from typing import Literal

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from common.message import Record
from shell.kafka.dispatch import Handlers
from shell.kafka.positions import Fenced, Log, Positions, Stored, decide_refilled, decide_stop
from shell.kafka.resumption import Place, Range, decide_resume, load_stored, save_resume
from shell.kafka.retention import Place as Unread
from shell.kafka.retention import Used, worst_by_topic
from shell.store.database import Database
from shell.store.parked import park, take_parked
from shell.store.transaction import Tx
from shell.testing import Driver

PLACE = Place("dispatch", "subsidy.payment", 3)


@pytest.mark.parametrize(
    ("next_offset", "log", "compacted", "code"),
    [
        (None, Log(0, 0), False, None),  # a first start
        (None, Log(40, 90), False, None),  # a first start on a topic that has lost its oldest records
        (100, Log(0, 100), False, None),  # everything read
        (100, Log(100, 100), False, None),  # everything read, and everything deleted by retention
        (100, Log(40, 130), False, None),
        (100, Log(0, 99), False, "recreated"),
        (100, Log(0, 0), False, "recreated"),
        (100, Log(0, 60), True, "recreated"),
        (100, Log(101, 130), False, "records_deleted"),
        (100, Log(130, 130), False, "records_deleted"),
        (100, Log(101, 130), True, None),  # compaction
    ],
)
def test_a_partition_stops_when_its_log_does_not_continue_at_the_next_offset(
    next_offset: int | None, log: Log, compacted: bool, code: str | None
) -> None:
    stop = decide_stop(next_offset, log, compacted=compacted)
    assert (stop.code if stop else None) == code


def test_the_record_handled_last_is_known_by_its_timestamp() -> None:
    assert decide_refilled(1_700_000_000_000, 1_700_000_000_000, 99) is None
    stop = decide_refilled(1_700_000_000_000, 1_700_000_000_001, 99)
    assert stop is not None
    assert stop.code == "recreated"


def stored(next_offset: int | None, stopped: str | None = None) -> Stored:
    return Stored(next_offset, epoch=1, record_ms=None, stopped=stopped, stopped_why=None)


@pytest.mark.parametrize(
    ("row", "log", "to", "effects"),
    [
        # (again, skipped, lost)
        (stored(100), Log(0, 130), 100, (None, None, None)),
        (stored(100), Log(0, 130), "beginning", (Range(0, 99), None, None)),
        (stored(100), Log(0, 130), "end", (None, Range(100, 129), None)),
        (stored(100), Log(0, 60), "beginning", (None, None, None)),  # a new log: none of it was read
        (stored(100), Log(0, 60), "end", (None, Range(0, 59), None)),
        (stored(100, "recreated"), Log(0, 150), "beginning", (None, None, None)),
        (stored(100, "recreated"), Log(0, 150), 20, (None, Range(0, 19), None)),
        (stored(20), Log(50, 100), "beginning", (None, None, Range(20, 49))),
        (stored(20), Log(50, 100), 60, (None, Range(50, 59), Range(20, 49))),
        (stored(None), Log(10, 40), "beginning", (None, None, None)),
        (stored(None), Log(10, 40), 12, (None, Range(10, 11), None)),
    ],
)
def test_a_resume_states_exactly_what_is_read_again_skipped_and_lost(row, log, to, effects) -> None:
    resume = decide_resume(PLACE, row, log, to, compacted=False)
    assert (resume.again, resume.skipped, resume.lost) == effects
    said = " ".join(resume.effects())
    assert ("read again" in said) == (resume.again is not None)
    assert ("are skipped" in said) == (resume.skipped is not None)
    assert ("deleted unread" in said) == (resume.lost is not None)


def test_compaction_below_the_log_start_is_no_loss() -> None:
    assert decide_resume(PLACE, stored(20), Log(50, 100), "beginning", compacted=True).lost is None


@pytest.mark.parametrize("to", [9, 41])
def test_a_resume_at_an_offset_that_the_log_does_not_have_is_rejected(to: int) -> None:
    with pytest.raises(ValueError, match="from offset 10 to its end at 40"):
        decide_resume(PLACE, stored(20), Log(10, 40), to, compacted=False)


async def test_a_resume_is_recorded_and_refused_when_the_position_has_changed_meanwhile(database: Database) -> None:
    place = Place("probe", "dispatch.visit", 0)
    await database.pool.execute(
        """INSERT INTO consumer_offsets (consumer, topic, part, next_offset, epoch, record_ms, stopped, stopped_why)
           VALUES ('probe', 'dispatch.visit', 0, 100, 7, 1, 'recreated', 'its log ends at 60')"""
    )
    async with database.transaction() as tx:
        row = await load_stored(tx.sql, place)
        assert row is not None
        resume = decide_resume(place, row, Log(0, 60), 10, compacted=False)
        assert await save_resume(tx, resume, "an operator")
    async with database.transaction() as tx:
        assert not await save_resume(tx, resume, "an operator")
        assert await load_stored(tx.sql, place) == Stored(10, 8, None, None, None)
    (kept,) = await database.pool.fetch("SELECT skipped_from, skipped_to, stopped, resumed_by FROM offset_resumes")
    assert tuple(kept) == (0, 9, "recreated", "an operator")


async def test_a_record_at_the_offset_of_a_parked_one_of_a_deleted_topic_is_parked_beside_it(
    database: Database,
) -> None:
    """Offsets repeat when a topic is made again; the bytes of neither record may be lost."""

    async def park_and_replay(value: bytes, timestamp_ms: int) -> None:
        async with database.transaction() as tx:
            record = Record("dispatch.visit", 0, 5, b"k", value, (), timestamp_ms)
            parked_id = await park(tx, "probe", record, "undecodable", None)
            assert await park(tx, "probe", record, "undecodable", None) == parked_id  # delivered twice
            found[parked_id] = value

    found: dict[str, bytes] = {}
    await park_and_replay(b"old", 1_000)
    await park_and_replay(b"new", 2_000)
    assert len(found) == 2
    async with database.transaction() as tx:
        assert {parked_id: (await take_parked(tx, parked_id))[0].value for parked_id in found} == found


async def test_the_fence_keeps_the_timestamp_of_the_record_handled_last(database: Database) -> None:
    async def on_raw(records: list[Record], tx: Tx) -> None:
        assert records

    driver = Driver(database, Handlers({}, {"probe": on_raw}))
    await driver.deliver_records([Record("probe", 0, n, None, b"{}", (), 1_000 + n) for n in range(3)])
    row = await database.pool.fetchrow("SELECT next_offset, record_ms FROM consumer_offsets")
    assert tuple(row) == (3, 1_002)


@pytest.mark.parametrize("to", ["beginning", 300])
async def test_records_picked_before_a_resume_are_not_accepted_after_it(
    database: Database, to: Literal["beginning"] | int
) -> None:
    """The partition is taken over between the fetch and the transaction, for example by a rebalance."""
    place, tp = Place("probe", "dispatch.visit", 0), TopicPartition("dispatch.visit", 0)
    await database.pool.execute(
        "INSERT INTO consumer_offsets (consumer, topic, part, next_offset, epoch) VALUES ('probe', $1, 0, 100, 7)",
        tp.topic,
    )
    positions = Positions("probe", database)
    await positions.take_over(None, [tp])
    fetched = [ConsumerRecord(tp.topic, 0, n, 1_000 + n, 0, None, b"{}", None, 0, 2, ()) for n in range(100, 120)]
    client = AIOKafkaConsumer()
    records = await positions.unsettled(client, {tp: fetched})
    await client.stop()
    async with database.transaction() as tx:
        row = await load_stored(tx.sql, place)
        assert row is not None
        assert await save_resume(tx, decide_resume(place, row, Log(0, 400), to, compacted=False), "an operator")
    await positions.take_over(None, [tp])
    with pytest.raises(Fenced):
        async with database.transaction() as tx:
            await positions.fence(tx, records)
    assert positions.next_offsets([tp]) == {tp: 0 if to == "beginning" else to}


def test_unread_records_begin_at_the_next_offset_or_where_the_log_begins() -> None:
    assert Unread("t", 0, None, None).unread_from(Log(5, 9)) == 5
    assert Unread("t", 0, 7, None).unread_from(Log(5, 9)) == 7
    assert Unread("t", 0, 2, None).unread_from(Log(5, 9)) == 5
    assert Unread("t", 0, 100, None).unread_from(Log(0, 60)) == 0  # another log


def test_the_figure_of_a_topic_is_that_of_its_worst_partition() -> None:
    used = {TopicPartition("t", 0): Used(10, 100), TopicPartition("t", 1): Used(70, 100)}
    assert worst_by_topic(used) == {"t": Used(70, 100)}
    assert worst_by_topic(used)["t"].ratio == 0.7
