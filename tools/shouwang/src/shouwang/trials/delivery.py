"""Delivering what sources say, by HTTP and on their own topics, until it is acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from shell.kafka import client
from shell.kafka.topics import inbound_topic
from shell.settings import Settings

from shouwang.runtime.stores import Stores
from shouwang.trials.requests import AGAIN_AFTER_SECONDS, Asker

SEND_SECONDS_MAX = 60
Event = dict[str, Any]


class Deliverer:
    """`statuses` counts the receipts of the HTTP door; `by_topic` what the broker has acknowledged."""

    def __init__(self, stores: Stores, asker: Asker) -> None:
        self.statuses: Counter[str] = Counter()
        self.by_topic = 0
        self.repeated = 0
        self._asker = asker
        self._settings = Settings(kafka=stores.kafka_address, home=stores.home)
        self._producer: AIOKafkaProducer | None = None

    async def over_http(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """The receipts, in the order of the events."""
        results: list[dict[str, Any]] = (await self._asker.push(events))["results"]
        self.statuses.update(receipt["status"] for receipt in results)
        return results

    async def over_topic(self, events: Sequence[Event]) -> None:
        """All of them again whenever one was not acknowledged. Raises TimeoutError."""
        values = [(inbound_topic(event["source"]), json.dumps(event, ensure_ascii=False).encode()) for event in events]
        deadline = monotonic() + self._asker.seconds
        while True:
            try:
                producer = await self._connected()
                sent = [await producer.send(topic, value) for topic, value in values]
                await asyncio.wait_for(asyncio.gather(*sent), SEND_SECONDS_MAX)
                self.by_topic += len(events)
                return
            except (KafkaError, OSError, TimeoutError):
                if monotonic() > deadline:
                    raise
                self.repeated += 1
                await self.close()
                await asyncio.sleep(AGAIN_AFTER_SECONDS)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = client.producer(self._settings)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
