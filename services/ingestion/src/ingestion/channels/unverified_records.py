"""Kafka records whose sender is unknown. They are counted separately and count for no source."""

from collections import Counter
from collections.abc import Sequence
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
    parked_today = await store.count_parked(tx, today, {record.topic for record, _ in found})
    room = {topic: PARKED_PER_DAY_MAX - parked for topic, parked in parked_today.items()}
    records: Counter[store.Key] = Counter()
    kept: Counter[store.Key] = Counter()
    for record, unverified in found:
        key = store.Key(today, record.topic, unverified.claimed, unverified.reason)
        records[key] += 1
        if room[record.topic] > 0:
            room[record.topic] -= 1
            kept[key] += 1
            await park(tx, tx.service, record, unverified.reason, None)
    await store.add_counts(tx, [store.Count(*key, count, kept[key]) for key, count in sorted(records.items())])
    for key, count in records.items():
        counted.labels(key.topic, key.reason).inc(count)
