"""The commands for positions, and the settings of existing topics."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from shell.kafka import topic_configs
from shell.kafka.client import connection
from shell.kafka.topics import load_topics
from shouwang import cli
from shouwang.runtime import machine
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime

HOUR_MS = 3_600_000


@pytest.fixture
async def subsidy(stores: Runtime, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """The database of a service that has read 100 records of a topic. The topic is empty now."""
    monkeypatch.setattr(machine, "local_runtime", lambda: stores)
    stores.create_topics()
    stores.migrate()
    connection = await asyncpg.connect(stores.database_url("subsidy"), server_settings={"search_path": "subsidy"})
    await connection.execute(
        """INSERT INTO consumer_offsets (consumer, topic, part, next_offset, epoch, record_ms)
           VALUES ('subsidy', 'subsidy.payment', 0, 100, 1, 1764000000000)"""
    )
    yield connection
    await connection.execute("DELETE FROM consumer_offsets; DELETE FROM offset_resumes")
    await connection.close()


async def test_the_list_shows_every_position_and_the_reason_of_a_stopped_one(
    stores: Runtime, subsidy: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(cli.main, ["offsets", "list", "subsidy"]) == 1
    head, row, reason, total = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["service", "topic", "part", "next"]
    assert row.split() == [
        "subsidy",
        "subsidy.payment",
        "0",
        "100",
        "0",
        "0",
        "2025-11-25",
        "00:00:00+08:00",
        "stopped",
    ]
    assert "its log ends at 0, below the next offset 100" in reason
    assert total == "1 partitions, 1 stopped"


async def test_a_resume_changes_nothing_until_it_is_confirmed_and_is_recorded_then(
    stores: Runtime, subsidy: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["offsets", "resume", "subsidy", "subsidy.payment", "0", "--from", "beginning", "--by", "an operator"]
    assert await asyncio.to_thread(cli.main, command) == 1
    output = capsys.readouterr().out
    assert "subsidy reads subsidy.payment[0] on at offset 0." in output
    assert "the topic was deleted and made again" in output
    assert "Nothing is changed." in output
    assert await subsidy.fetchval("SELECT next_offset FROM consumer_offsets") == 100
    assert await asyncio.to_thread(cli.main, [*command, "--yes"]) == 0
    assert "1 partitions resumed" in capsys.readouterr().out
    assert await subsidy.fetchval("SELECT next_offset FROM consumer_offsets") == 0
    (kept,) = await subsidy.fetch("SELECT from_offset, to_offset, skipped_from, resumed_by FROM offset_resumes")
    assert tuple(kept) == (100, 0, None, "an operator")
    assert await asyncio.to_thread(cli.main, ["offsets", "list", "subsidy"]) == 0


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["subsidies", "subsidy.payment", "0", "--from", "end"], "There is no service `subsidies`"),
        (["subsidy", "subsidy.payment", "9", "--from", "end"], "subsidy has no such partition"),
        (["subsidy", "subsidy.payment", "0", "--from", "7"], "can be read from offset 0 to its end at 0"),
    ],
)
async def test_a_resume_of_a_missing_position_is_an_error(
    stores: Runtime, subsidy: asyncpg.Connection, arguments: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(cli.main, ["offsets", "resume", *arguments]) == 2
    assert output in capsys.readouterr().err


async def test_an_existing_topic_gets_the_retention_of_the_contract_and_keeps_its_other_settings(
    stores: Runtime,
) -> None:
    stores.create_topics()
    inbound = next(topic for topic in load_topics() if topic.name == "population.inbound")
    assert inbound.retention_hours == 7 * 24
    admin = AIOKafkaAdminClient(**connection(stores.kafka_settings(PROVISION)))
    await admin.start()
    try:
        earlier = {"retention.ms": str(24 * HOUR_MS), "segment.bytes": "1048576"}
        assert await topic_configs.apply(admin, {inbound.name: earlier}) == [inbound.name]
        assert stores.create_topics() == []
        found = (await topic_configs.describe(admin, [inbound.name, "no.such.topic"]))[inbound.name]
    finally:
        await admin.close()
    assert found["retention.ms"].value == str(7 * 24 * HOUR_MS)
    assert found["segment.bytes"].value == "1048576"
    assert found["message.timestamp.type"].value == "LogAppendTime"
