"""The compacted topics are deleted at run time: their heads are published again from their rows."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Final

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from common.events import CoverageDeclared
from shell.kafka.client import connection
from shell.kafka.topics import compacted_topics
from shell.settings import Settings
from shell.store.transaction import Tx
from shouwang.commands.republish import PAGE, republish, write_pages
from shouwang.commands.verify import check_all
from shouwang.invariants.source_rows import SOURCES
from shouwang.runtime import positions
from shouwang.runtime.databases import open_database
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.stories.assessments import assessed
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript
from shouwang.trials.probe import delete_topic, until

NOW = datetime(2026, 11, 22, tzinfo=UTC)
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(CoverageDeclared).decode
# The watchdog and the limits of a Kafka client replace a stuck client after a minute, on a busy machine twice.
STOP_SECONDS_MAX: Final = 240
RESUMES_MAX: Final = 3
Partition = tuple[str, str, int]  # service, topic, partition


async def partitions(running: Runtime, where: str) -> dict[Partition, int]:
    """The next offset of each partition of the compacted topics, of every consumer."""
    found: dict[Partition, int] = {}
    for service in STORED:
        connection = await asyncpg.connect(running.database_url(service), server_settings={"search_path": service})
        rows = await connection.fetch(
            f"""SELECT consumer, topic, part, next_offset FROM consumer_offsets
                WHERE topic = ANY($1::text[]) AND {where}""",
            sorted(SOURCES),
        )
        found |= {(row[0], row[1], row[2]): row[3] for row in rows}
        await connection.close()
    return found


async def readers_at_the_end(running: Runtime, settings: Settings) -> set[Partition]:
    """The partitions whose reader has read as many records as the topic has now."""
    client = AIOKafkaConsumer(*SOURCES, **connection(settings))
    await client.start()
    try:
        ends = await client.end_offsets(client.assignment())
    finally:
        await client.stop()
    reading = await partitions(running, "stopped IS NULL")
    return {place for place, offset in reading.items() if offset == ends[TopicPartition(*place[1:])]}


async def wrong(running: Runtime) -> dict[str, list[str]]:
    return {line.invariant: line.faults for line in (await check_all(running)).wrong()}


def test_every_compacted_topic_can_be_published_again() -> None:
    assert set(SOURCES) == compacted_topics()


async def test_deleted_compacted_topics_are_published_again_and_verified(running: Runtime, platform: Platform) -> None:
    await assessed(platform, Transcript(), until_due=False)
    assert await wrong(running) == {}
    settings = running.kafka_settings(PROVISION)
    for topic in sorted(SOURCES):
        await delete_topic(settings, topic)
    running.create_topics()
    counts = {topic: await republish(running, topic) for topic in sorted(SOURCES)}
    silent = {topic for topic, count in counts.items() if count == 0}
    assert silent <= {"ingestion.coverage"}, "no source of these journeys reports any fact kind completely"
    read = await partitions(running, "next_offset IS NOT NULL")
    assert {topic for _, topic, _ in read} == set(SOURCES) - silent

    reading: dict[Partition, int] = read

    async def all_stopped() -> bool:
        """All readers but those exactly at the end of the new topic: they have read all heads, and may not notice the
        deletion."""
        nonlocal reading
        at_end = await readers_at_the_end(running, settings)
        now = await partitions(running, "stopped IS NULL")
        reading = {place: offset for place, offset in now.items() if place in read and place not in at_end}
        return not reading

    try:
        await until(all_stopped, "every reader stopped", seconds=STOP_SECONDS_MAX)
    except TimeoutError as late:
        raise AssertionError(f"these still read, at these offsets: {reading}") from late
    assert len(await partitions(running, "stopped IS NOT NULL")) > len(read) / 2
    found = await resume_until_right(running)
    assert found == {}


async def resume_until_right(running: Runtime) -> dict[str, list[str]]:
    """Resume the stopped readers, and return the invariants that do not hold. A reader at the end of a new topic stops
    later than the others, when it has compared its last record. So the operator looks again."""
    found: dict[str, list[str]] = {}
    for _ in range(RESUMES_MAX):
        stopped = await partitions(running, "stopped IS NOT NULL")
        for service, topic in sorted({(service, topic) for service, topic, _ in stopped}):
            resumes = await positions.plan(running, service, topic, "all", "beginning")
            await positions.carry_out(running, service, resumes, "a test")
        found = await wrong(running)
        if not found:
            break
    return found


async def test_an_interrupted_run_continues_after_its_last_written_page(stores: Runtime) -> None:
    """Without its service no record is sent: the run ends with a reason, and the next run writes the rest."""
    stores.migrate()
    rows = 2 * PAGE + 1
    async with open_database(stores, "ingestion") as database:
        await database.pool.execute(
            """INSERT INTO coverages (division, version, said)
               SELECT code, 1, convert_to('{"division":"' || code
                 || '","version":1,"recorded_at":"2026-11-22T00:00:00Z"}', 'UTF8')
               FROM (SELECT (100000 + n)::text AS code FROM generate_series(1, $1) AS n) AS codes""",
            rows,
        )
        await write_pages(database, "ingestion.coverage", pages_max=2)
        assert await database.pool.fetchval("SELECT count(*) FROM outbox") == 2 * PAGE
        await write_pages(database, "ingestion.coverage")
        assert await database.pool.fetchval("SELECT count(*) FROM outbox") == rows
        assert await database.pool.fetchval("SELECT count(*) FROM job_marks WHERE job LIKE 'republish%'") == 0
        await database.pool.execute("DELETE FROM outbox; DELETE FROM coverages")


async def test_a_newer_state_that_waits_to_be_sent_is_not_replaced_by_an_older_one(stores: Runtime) -> None:
    stores.migrate()
    async with open_database(stores, "ingestion") as database:
        coverages = [CoverageDeclared(division="530302", version=n, recorded_at=NOW) for n in (1, 2)]
        await database.pool.execute(
            "INSERT INTO coverages (division, version, said) VALUES ('530302', 1, $1)", encode(coverages[0])
        )
        async with database.transaction() as tx:  # a writer that has locked the row and has not committed yet
            await tx.sql.execute("UPDATE coverages SET version = 2, said = $1", encode(coverages[1]))
            tx.emit_stored(coverages[1], encoded=encode(coverages[1]))
            writing = asyncio.create_task(write_pages(database, "ingestion.coverage"))
            await until(partial(waits_for_a_lock, tx), "the page waits for the writer")
        assert await writing == 1
        (row,) = await database.pool.fetch("SELECT payload FROM outbox")
        assert decode(row["payload"]).version == 2
        await database.pool.execute("DELETE FROM outbox; DELETE FROM coverages")


async def waits_for_a_lock(tx: Tx) -> bool:
    return bool(await tx.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
