"""Real PostgreSQL and Kafka: start, kill, repair."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from shell.kafka.client import connection
from shell.kafka.topics import load_topics
from shell.settings import Settings
from shouwang.runtime import lifecycle, processes
from shouwang.runtime.kafka import answers
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime


def test_a_second_up_leaves_every_process_as_it_is(stores: Runtime) -> None:
    before = stores.running()
    lifecycle.up(stores, with_services=False)
    assert set(before) == {"kafka", "postgres"}
    assert stores.running() == before


def test_another_runtime_on_the_same_home_sees_the_same_processes(stores: Runtime) -> None:
    other = Runtime(stores.home)
    assert other.pid("kafka") == stores.pid("kafka")
    assert other.kafka_address == stores.kafka_address
    assert other.database_url("subsidy") == stores.database_url("subsidy")


def test_every_topic_of_the_contract_is_created_once(stores: Runtime) -> None:
    assert stores.create_topics() == []
    assert len(load_topics()) > 10


async def test_every_service_has_a_database_of_its_own_and_writes_are_durable(stores: Runtime) -> None:
    for process in stores.processes:
        if process.database:
            connection = await asyncpg.connect(stores.database_url(process.name))
            assert await connection.fetchval("SELECT current_database()") == process.name
            assert await connection.fetchval("SHOW fsync") == "on"
            await connection.close()


async def test_the_broker_keeps_acknowledged_records_through_a_kill(stores: Runtime) -> None:
    await _produce(stores.kafka_settings(PROVISION), [b"before the kill"])
    killed = stores.pid("kafka")
    stores.kill_kafka()
    assert stores.pid("kafka") is None
    assert not answers(stores.ports.get("kafka"))
    stores.start_kafka()
    assert stores.pid("kafka") not in {None, killed}
    await _produce(stores.kafka_settings(PROVISION), [b"after it"])
    assert await _consume(stores.kafka_settings(PROVISION), 2) == [b"before the kill", b"after it"]


async def test_the_cluster_keeps_committed_rows_through_a_kill_and_a_stale_pid_file(stores: Runtime) -> None:
    connection = await asyncpg.connect(stores.database_url("subsidy"))
    await connection.execute("CREATE TABLE kept (fen bigint); INSERT INTO kept VALUES (5000)")
    connection.terminate()
    stores.kill_postgres()
    pid_file = stores.home / "postgres" / "postmaster.pid"
    # the pid of the dead postmaster now belongs to another process: this test
    pid_file.write_text("\n".join([str(os.getpid()), *pid_file.read_text().splitlines()[1:]]) + "\n")
    stores.start_postgres()
    connection = await asyncpg.connect(stores.database_url("subsidy"))
    assert await connection.fetchval("SELECT sum(fen)::bigint FROM kept") == 5000
    await connection.execute("DROP TABLE kept")
    await connection.close()


async def test_the_cluster_starts_though_a_busy_backend_outlived_its_postmaster(stores: Runtime) -> None:
    connection = await asyncpg.connect(stores.database_url("subsidy"))
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    busy = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 10000000000) AS n"))
    await asyncio.wait([busy], timeout=0.3)
    postmaster = stores.pid("postgres")
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)
    assert processes.wait_until(lambda: processes.is_gone(postmaster), 5)
    assert not processes.is_gone(backend)
    stores.start_postgres()
    assert processes.is_gone(backend)
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await busy
    connection = await asyncpg.connect(stores.database_url("subsidy"))
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


def test_the_supervisor_restarts_a_dead_process_but_not_a_stopped_one(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    try:
        runtime.start_postgres()
        lifecycle.start_supervisor(runtime)
        died = runtime.pid("postgres")
        runtime.kill_postgres()
        assert processes.wait_until(lambda: runtime.postgres().is_ready(), 20)
        assert runtime.pid("postgres") != died
        assert "postgres died, starting it again" in runtime.logs("supervisor")
        lifecycle.down(runtime)
        assert runtime.running() == {}
    finally:
        runtime.stop_all()


async def _produce(settings: Settings, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**connection(settings), acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait("policy.release", value, key=value, partition=0)
    finally:
        await producer.stop()


async def _consume(settings: Settings, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition("policy.release", 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found = await consumer.getmany(partition, timeout_ms=10_000, max_records=count)
        return [record.value for record in found[partition]]
    finally:
        await consumer.stop()
