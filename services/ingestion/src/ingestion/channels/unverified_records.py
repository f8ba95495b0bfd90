"""Records on Kafka whose sender nobody knows. They are counted apart, and enter no source's completeness."""

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


async def set_aside(tx: Tx, found: Sequence[tuple[Record, Unverified]], today: date) -> None:
    """Count the records under the day on which they are read. Park them, with their bytes sealed, up to
    PARKED_PER_DAY_MAX per topic and day; transactions that run together may each go that far. Only count the rest."""
    if not found:
        return
    room = {
        topic: PARKED_PER_DAY_MAX - parked
        for topic, parked in (await store.count_parked(tx, today, {record.topic for record, _ in found})).items()
    }
    records: Counter[store.Key] = Counter()
    kept: Counter[store.Key] = Counter()
    for record, unverified in found:
        key = (today, record.topic, unverified.claimed, unverified.reason)
        records[key] += 1
        if room[record.topic] > 0:
            room[record.topic] -= 1
            kept[key] += 1
            await park(tx, tx.service, record, unverified.reason, None)
    await store.add_counts(tx, [(*key, count, kept[key]) for key, count in sorted(records.items())])
    for (_, topic, _, reason), count in records.items():
        counted.labels(topic, reason).inc(count)
