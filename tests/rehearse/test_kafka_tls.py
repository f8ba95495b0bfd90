"""The whole platform runs over TLS with an authority of its own, and a password of a service changes while it runs.

Providers and sources answer and push over TLS as their own users. A client that does not know the authority, or does
not encrypt, is refused. In the end all stores and topics agree. The figures compare the cost of the same records by
SASL alone and over TLS. It takes about five minutes.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic, process_time

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, KafkaError
from common.calendar import SHANGHAI
from common.message import Record
from shell.kafka import client
from shell.kafka.client import connection
from shell.settings import Settings
from shouwang.commands.verify import check_all
from shouwang.runtime import clock, kafka_grants
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.stories.longevity import eightieth_birthday
from shouwang.stories.people import QILIN, XUANWEI
from shouwang.stories.platform import Platform
from shouwang.stories.providers import register_provider
from shouwang.stories.transcript import Transcript
from shouwang.stories.visits import visit_by_http, visit_by_kafka
from shouwang.trials.probe import make_topic

EVENING = datetime(2026, 11, 29, 20, tzinfo=SHANGHAI)
RECORDS, RECORD_BYTES, REPEATS = 40_000, 1_200, 3
ANSWER_SECONDS_MAX = 20
TOPIC = "rehearse.cost"
Figure = Callable[[str, float], None]


@contextmanager
def home(*, encrypted: bool) -> Iterator[Runtime]:
    with tempfile.TemporaryDirectory(prefix="shouwang-tls-") as folder:
        runtime = Runtime(Path(folder), ports="free")
        if encrypted:
            runtime.kafka_users.encrypt()
        try:
            yield runtime
        finally:
            runtime.stop_all()


@pytest.fixture(scope="module")
def running() -> Iterator[Runtime]:
    with home(encrypted=True) as runtime, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOUWANG_HOME", str(runtime.home))
        runtime.mark_demo()
        clock.begin_at(runtime.home, EVENING)
        runtime.start_all()
        yield runtime


@pytest.fixture
async def platform(running: Runtime, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    monkeypatch.setenv("SHOUWANG_HOME", str(running.home))
    urls = {process.name: running.service_url(process.name) for process in running.processes}
    async with Platform(running, urls) as platform:
        yield platform


async def test_the_cost_of_records_over_tls_is_measured(figure: Figure) -> None:
    """The first test of the file, because the platform would run beside it."""
    costs: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for encrypted in [False, True] * REPEATS:
        with home(encrypted=encrypted) as runtime:
            await asyncio.to_thread(runtime.start_kafka)
            await asyncio.to_thread(runtime.grant_kafka)
            costs[encrypted].append(await _cost(runtime))
    for encrypted, name in ((False, "sasl"), (True, "tls")):
        figure(f"{name}_cpu_us_per_record", sorted(cpu for cpu, _ in costs[encrypted])[REPEATS // 2])
        figure(f"{name}_records_per_s", sorted(rate for _, rate in costs[encrypted])[REPEATS // 2])


async def test_every_step_of_a_visit_goes_over_tls(platform: Platform) -> None:
    assert platform.kafka.kafka_tls
    for county in (QILIN, XUANWEI):
        await register_provider(platform, county)
    await eightieth_birthday(platform, Transcript())
    await visit_by_kafka(platform, Transcript())


@pytest.mark.parametrize("how", ["without encryption", "with another authority"])
async def test_a_client_that_does_not_encrypt_or_does_not_know_the_authority_is_refused(
    running: Runtime, how: str
) -> None:
    settings = running.kafka_settings(PROVISION)
    update = {"kafka_tls": False} if how == "without encryption" else {"kafka_ca": None}
    admin = client.admin(settings.model_copy(update=update))
    with pytest.raises((KafkaConnectionError, KafkaError, ssl.SSLError, TimeoutError)):
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await admin.start()
    await admin.close()


async def test_the_password_of_a_service_changes_while_it_runs(platform: Platform, running: Runtime) -> None:
    """The broker ends the connections of `dispatch`, so that it must connect with the new password."""
    users, before = running.kafka_users, running.pid("dispatch")
    await asyncio.to_thread(kafka_grants.replace_own_password, users, "dispatch")
    await asyncio.to_thread(running.restart_kafka)
    await visit_by_http(platform, Transcript())
    assert running.pid("dispatch") == before


async def test_all_stores_and_topics_agree(platform: Platform, running: Runtime) -> None:
    report = await check_all(running)
    assert report.ok, report.text()


async def _cost(runtime: Runtime) -> tuple[float, float]:
    """Write and read records. Returns CPU time of broker and client in µs per record, and the records per second."""
    settings, pid = runtime.kafka_settings(PROVISION), runtime.pid("kafka")
    assert pid is not None
    await make_topic(settings, TOPIC)
    await _write_and_read(settings, RECORDS // 4, 0)  # the first records warm the broker up
    broker, ours, began = psutil.Process(pid).cpu_times(), process_time(), monotonic()
    await _write_and_read(settings, RECORDS, RECORDS // 4)
    after = psutil.Process(pid).cpu_times()
    cpu = after.user + after.system - broker.user - broker.system + process_time() - ours
    return cpu / RECORDS * 1e6, RECORDS / (monotonic() - began)


async def _write_and_read(settings: Settings, count: int, first: int) -> None:
    producer = client.producer(settings)
    await producer.start()
    for _ in range(count // 1_000):
        await asyncio.gather(*[await producer.send(TOPIC, b"x" * RECORD_BYTES) for _ in range(1_000)])
    await producer.stop()
    reader = AIOKafkaConsumer(TOPIC, **connection(settings), auto_offset_reset="earliest")
    await reader.start()
    read: list[Record] = []
    while len(read) < first + count:
        for records in (await reader.getmany(timeout_ms=500)).values():
            read += records
    await reader.stop()
