"""Counts and parks Kafka records whose sender is unknown. These records count for no source."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from typing import Final

from common.message import Record
from prometheus_client import Counter as Metric
from shell.store.parked import park
from shell.store.transaction import Tx

from ingestion.channels import store
from ingestion.channels.kafka_senders import Unverified

PARKED_PER_DAY_MAX: Final = 1_000
DAYS_KEPT: Final = 400
counted = Metric("shouwang_inbound_unverified", "Records on Kafka whose sender is unknown", ["topic", "reason"])


async def count_and_park(tx: Tx, found: Sequence[tuple[Record, Unverified]], today: date) -> None:
    """Count all records under `today`, and park them encrypted, up to PARKED_PER_DAY_MAX per topic and day.

    Concurrent transactions may each park up to the limit.
    """
    if not found:
        return
    records = Counter(_key(record, unverified, today) for record, unverified in found)
    parked = await _park(tx, found, today)
    await store.add_counts(tx, [store.Count(*key, count, parked[key]) for key, count in sorted(records.items())])
    for key, count in records.items():
        counted.labels(key.topic, key.reason).inc(count)


async def _park(tx: Tx, found: Sequence[tuple[Record, Unverified]], today: date) -> Counter[store.Key]:
    """Park records up to the limit; returns how many of each key."""
    room = await _room(tx, {record.topic for record, _ in found}, today)
    parked: Counter[store.Key] = Counter()
    for record, unverified in found:
        if room[record.topic] > 0:
            room[record.topic] -= 1
            parked[_key(record, unverified, today)] += 1
            await park(tx, tx.service, record, unverified.reason, None)
    return parked


async def _room(tx: Tx, topics: Collection[str], today: date) -> dict[str, int]:
    """The number of records that may still be parked today, by topic."""
    parked = await store.count_parked(tx, today, topics)
    return {topic: PARKED_PER_DAY_MAX - parked[topic] for topic in topics}


def _key(record: Record, unverified: Unverified, day: date) -> store.Key:
    return store.Key(day, record.topic, unverified.claimed, unverified.reason)
