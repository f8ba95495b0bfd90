"""Read Kafka for the live page: no group, no commits, no storage. Messages are read only while a screen is open."""

import asyncio
import logging
from collections.abc import Hashable, Mapping, Sequence
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

from console.domain.chain import Chain
from console.domain.item_titles import ItemTitles
from console.domain.meter import Meter
from console.domain.names import STAGES
from console.domain.steps import learn_titles, step_of

log = logging.getLogger(__name__)
BACKLOG: Final = 150  # per partition, so that a new page shows the last steps
BEHIND_MAX: Final = 3_000  # in a burst the page shows a part; the counts come from offsets and stay correct
BACKLOG_SECONDS_MAX: Final = 5.0
METER_SECONDS: Final = 1.0
AWAY = (KafkaError, *UNAVAILABLE)


def topics() -> list[str]:
    return [topic for stage in STAGES for topic in stage.topics] + [f"{stage.group}.parked" for stage in STAGES]


class Reader:
    """Measures all stages, and adds the records of the topics to the chain while a screen is open.

    `watchers`: the number of open streams; they end when `closing` is set. `trouble`: the reason if the topics cannot
    be read.
    """

    def __init__(self, settings: Settings, chain: Chain, meter: Meter, titles: ItemTitles) -> None:
        self.settings = settings
        self.chain = chain
        self.meter = meter
        self.titles = titles
        self.trouble: str | None = "connecting"
        self.watchers = 0
        self.watched = asyncio.Event()
        self.closing = asyncio.Event()
        self._ends: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}  # next offset to read, while a screen is open
        self._measured = 0
        self._broker = Broker(settings)

    def part(self) -> Part:
        """Return the part for the watchdog: it always measures, and it reads while records wait for a screen."""
        return Part("reader", self.run, self._progress, self._waiting, self.settings.stall_seconds)

    def _progress(self) -> Hashable:
        """Return a value that changes while the reader makes progress."""
        return tuple(sorted(self._positions.items())) if self._behind() else self._measured

    def _behind(self) -> int:
        """Return the number of unread records while a screen is open, else 0."""
        if not self.watchers:
            return 0
        return sum(max(0, self._ends.get(tp, at) - at) for tp, at in self._positions.items())

    async def _waiting(self) -> str | None:
        """Describe the work that waits, for the watchdog. Raises an error while Kafka is away."""
        await self._broker.topics()
        return f"{self._behind()} records wait" if self._behind() else "nothing was measured"

    async def close(self) -> None:
        """Close the connection to the broker."""
        await self._broker.close()

    async def run(self) -> None:
        """Measure and read until cancelled. After a failure of Kafka, connect again."""
        while True:
            client, admin = kafka.consumer(self.settings, None), kafka.admin(self.settings)
            try:
                await kafka.answer_of(client.start())
                await kafka.answer_of(admin.start())
                await self._measure_and_read(client, admin)
            except AWAY as error:
                self.trouble = type(error).__name__
                log.warning("kafka is away: %s", type(error).__name__)
                if isinstance(error, ClientEnded):
                    metrics.replaced.labels("console", "reader").inc()
            finally:
                await asyncio.gather(kafka.stop(client), kafka.stop(admin))
            await asyncio.sleep(1)

    async def _measure_and_read(self, client: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
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
            # The console may not read other topics, such as population.inbound.*; it reads only their end offsets.
            others = {tp for offsets in committed.values() for tp in offsets}
            if partitions := [*{*client.assignment(), *others}]:
                self._ends = await client.end_offsets(partitions)
                self._update_meter(committed)
                self.trouble = None
            self._measured += 1
            await asyncio.sleep(METER_SECONDS)

    def _update_meter(self, committed: Mapping[str, Mapping[TopicPartition, int]]) -> None:
        ends = _plain(self._ends)
        self.meter.read_ends(ends, monotonic())
        for group, offsets in committed.items():
            self.meter.read_group(group, _plain(offsets), ends)

    async def _read(self, client: AIOKafkaConsumer) -> None:
        while True:
            if not self.watchers:
                self.watched.clear()
                await self.watched.wait()
                await self._take_backlog(client)
            await self._skip(client)
            self._add(await _fetch(client, 200))

    async def _take_backlog(self, client: AIOKafkaConsumer) -> None:
        """Add the last steps of all topics, in the order of time."""
        places = sorted(client.assignment())
        begins, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        for tp in places:
            client.seek(tp, max(begins[tp], ends[tp] - BACKLOG))
        records: list[Record] = []
        until = monotonic() + BACKLOG_SECONDS_MAX
        while monotonic() < until and [tp for tp in places if await client.position(tp) < ends[tp]]:
            records += await _fetch(client, 50)
        self._add(records)

    def _add(self, records: Sequence[Record]) -> None:
        """Add the steps of the records. Published lists come first, since lines use their titles."""
        for record in records:
            learn_titles(record, self.titles)
        steps = [step_of(record, self.titles) for record in records]
        self.chain.add(step for step in steps if step is not None)

    async def _skip(self, client: AIOKafkaConsumer) -> None:
        """Skip records that are too many for a screen."""
        for tp in client.assignment():
            end, position = self._ends.get(tp), await client.position(tp)
            if end is not None and end - position > BEHIND_MAX:
                position = end - BACKLOG
                client.seek(tp, position)
            self._positions[tp] = position


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """Return the committed offsets of a consumer group; empty for a service that has never run."""
    try:
        return {tp: at.offset for tp, at in (await admin.list_consumer_group_offsets(group)).items()}
    except (GroupCoordinatorNotAvailableError, GroupIdNotFound):
        return {}


async def _fetch(client: AIOKafkaConsumer, timeout_ms: int) -> list[Record]:
    fetched = await client.getmany(timeout_ms=timeout_ms, max_records=1_000)
    return [_record(r) for records in fetched.values() for r in records]


def _plain(offsets: Mapping[TopicPartition, int]) -> dict[tuple[str, int], int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}


def _record(r: Any) -> Record:
    return Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
