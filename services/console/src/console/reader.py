"""Looks on at Kafka: no group, no commits, nothing kept. Messages are read only while somebody watches."""

import asyncio
import logging
from collections.abc import Hashable
from time import monotonic
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupIdNotFound, KafkaError
from common.message import Record
from shell import metrics
from shell.kafka import client as kafka
from shell.kafka.liveness import ClientEnded, require_running
from shell.kafka.probes import Broker
from shell.settings import Settings
from shell.store.failures import UNAVAILABLE
from shell.watchdog import Part

from console.chain import Chain, Step
from console.meter import Meter
from console.names import STAGES
from console.telling import tell

log = logging.getLogger(__name__)
BACKLOG: Final = 150  # per partition, so that who opens the page finds the last steps there
BEHIND_MAX: Final = 3_000  # in a burst the page shows a part; the counts come from offsets and stay right
BACKLOG_SECONDS_MAX: Final = 5.0
METER_SECONDS: Final = 1.0
AWAY = (KafkaError, *UNAVAILABLE)


def topics() -> list[str]:
    return [topic for stage in STAGES for topic in stage.topics] + [f"{stage.group}.parked" for stage in STAGES]


class Reader:
    """`watchers` is counted by the streams, which end when `closing` is set; `trouble` says why nothing comes."""

    def __init__(self, settings: Settings, chain: Chain, meter: Meter) -> None:
        self.settings = settings
        self.chain = chain
        self.meter = meter
        self.trouble: str | None = "connecting"
        self.watchers = 0
        self.watched = asyncio.Event()
        self.closing = asyncio.Event()
        self._ends: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}  # next offset to read, while somebody watches
        self._measured = 0
        self._broker = Broker(settings)

    def part(self) -> Part:
        """The reader as the watchdog sees it: it always measures, and it reads while records wait to be shown."""
        return Part("reader", self.run, self._progress, self._waiting, self.settings.stall_seconds)

    def _progress(self) -> Hashable:
        return tuple(sorted(self._positions.items())) if self._behind() else self._measured

    def _behind(self) -> int:
        """Records that wait although somebody watches."""
        if not self.watchers:
            return 0
        return sum(max(0, self._ends.get(tp, at) - at) for tp, at in self._positions.items())

    async def _waiting(self) -> str | None:
        await self._broker.topics()
        return f"{self._behind()} records wait" if self._behind() else "nothing was measured"

    async def close(self) -> None:
        """Let go of the broker when the process stops."""
        await self._broker.close()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            client, admin = kafka.consumer(self.settings, None), kafka.admin(self.settings)
            try:
                await kafka.answer_of(client.start())
                await kafka.answer_of(admin.start())
                await self._look_on(client, admin)
            except AWAY as error:
                self.trouble = type(error).__name__
                log.warning("kafka is away: %s", type(error).__name__)
                if isinstance(error, ClientEnded):
                    metrics.replaced.labels("console", "reader").inc()
            finally:
                await asyncio.gather(kafka.stop(client), kafka.stop(admin))
            await asyncio.sleep(1)

    async def _look_on(self, client: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        client.subscribe(topics=topics())
        tasks = [asyncio.create_task(self._measure(client, admin)), asyncio.create_task(self._read(client))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _measure(self, client: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        committed: dict[str, dict[TopicPartition, int]] = {}
        while True:
            require_running(client)
            require_running(admin)
            if self.watchers:
                committed = {stage.group: await _committed(admin, stage.group) for stage in STAGES}
            # Topics of others, such as population.inbound.*, may be closed to us: we ask for their ends only.
            theirs = {tp for offsets in committed.values() for tp in offsets}
            partitions = [*{*client.assignment(), *theirs}]
            if partitions:
                self._ends = await client.end_offsets(partitions)
                ends = _plain(self._ends)
                self.meter.read_ends(ends, monotonic())
                for group, offsets in committed.items():
                    self.meter.read_group(group, _plain(offsets), ends)
                self.trouble = None
            self._measured += 1
            await asyncio.sleep(METER_SECONDS)

    async def _read(self, client: AIOKafkaConsumer) -> None:
        while True:
            if not self.watchers:
                self.watched.clear()
                await self.watched.wait()
                await self._take_backlog(client)
            await self._skip(client)
            self.chain.add(await _fetch(client, 200))

    async def _take_backlog(self, client: AIOKafkaConsumer) -> None:
        """The last steps of every topic, put in order together."""
        places = sorted(client.assignment())
        begins, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        for tp in places:
            client.seek(tp, max(begins[tp], ends[tp] - BACKLOG))
        until, steps = monotonic() + BACKLOG_SECONDS_MAX, []
        while monotonic() < until and [tp for tp in places if await client.position(tp) < ends[tp]]:
            steps += await _fetch(client, 50)
        self.chain.add(steps)

    async def _skip(self, client: AIOKafkaConsumer) -> None:
        """Leave out what nobody could read anyway."""
        for tp in client.assignment():
            end, position = self._ends.get(tp), await client.position(tp)
            if end is not None and end - position > BEHIND_MAX:
                position = end - BACKLOG
                client.seek(tp, position)
            self._positions[tp] = position


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """How far a service has told Kafka it has read; nothing for one that has not run yet."""
    try:
        return {tp: at.offset for tp, at in (await admin.list_consumer_group_offsets(group)).items()}
    except (GroupCoordinatorNotAvailableError, GroupIdNotFound):
        return {}


async def _fetch(client: AIOKafkaConsumer, timeout_ms: int) -> list[Step]:
    fetched = await client.getmany(timeout_ms=timeout_ms, max_records=1_000)
    told = (tell(_record(r)) for records in fetched.values() for r in records)
    return [step for step in told if step is not None]


def _plain(offsets: dict[TopicPartition, int]) -> dict[tuple[str, int], int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}


def _record(r: Any) -> Record:
    return Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
