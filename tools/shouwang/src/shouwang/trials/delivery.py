"""Delivers events of sources by HTTP and by topics, and repeats a delivery until it is acknowledged or too late."""

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

from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.stores import Stores
from shouwang.trials.retrying_client import RETRY_AFTER_SECONDS, RetryingClient

SEND_SECONDS_MAX = 60
Event = dict[str, Any]


class Delivery:
    """Sends events to one platform.

    `statuses`: number of HTTP receipts by status. `by_topic`: number of events that the broker has acknowledged.
    `repeated`: number of repeated deliveries to topics.
    """

    def __init__(self, stores: Stores, client: RetryingClient) -> None:
        self.statuses: Counter[str] = Counter()
        self.by_topic = 0
        self.repeated = 0
        self._client = client
        self._settings = stores.kafka_settings(PROVISION)  # one producer for all sources
        self._producer: AIOKafkaProducer | None = None

    async def over_http(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Push by HTTP; returns the receipts in the order of the events."""
        results: list[dict[str, Any]] = (await self._client.push(events))["results"]
        self.statuses.update(receipt["status"] for receipt in results)
        return results

    async def over_topic(self, events: Sequence[Event]) -> None:
        """Write to the sources' topics. If one event is not acknowledged, all are sent again.

        Raises the last KafkaError, OSError or TimeoutError after the time limit of the HTTP client.
        """
        records = [(inbound_topic(event["source"]), _encode(event)) for event in events]
        deadline = monotonic() + self._client.seconds
        while True:
            try:
                producer = await self._connected()
                sent = [await producer.send(topic, value) for topic, value in records]
                async with asyncio.timeout(SEND_SECONDS_MAX):
                    await asyncio.gather(*sent)
                self.by_topic += len(events)
                return
            except (KafkaError, OSError, TimeoutError):
                if monotonic() > deadline:
                    raise
                self.repeated += 1
                await self.close()
                await asyncio.sleep(RETRY_AFTER_SECONDS)

    async def _connected(self) -> AIOKafkaProducer:
        """The started producer; a new one after `close`."""
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


def _encode(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()
