"""Reads the backlog of all services: unsent events, unread records, rows whose day has come, stopped partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from shell import clock
from shell.kafka.topics import is_inbound
from shell.store.database import Database
from supervision.checks import checks

Databases = Mapping[str, Database]
LOOK_EVERY_SECONDS: Final = 0.3

# Per service the statement that counts the rows whose day has come. `$1` is today, `$2` now. None: nothing is counted.
DUE: Final[dict[str, str | None]] = {
    # deadlines of cases and groups, claimed places that silence vouches for, hints that end
    "ingestion": """
      SELECT (SELECT count(*) FROM quarantine WHERE state = 'open' AND deadline <= $2 AND group_id IS NULL
                AND (owner <> '000000' OR escalated_at IS NULL))
           + (SELECT count(*) FROM place_cases WHERE state = 'open' AND deadline <= $2 AND group_id IS NULL
                AND (owner <> '000000' OR escalated_at IS NULL))
           + (SELECT count(*) FROM groups WHERE state = 'open' AND deadline <= $2
                AND (owner <> '000000' OR escalated_at IS NULL))
           + (SELECT count(*) FROM place_cases c WHERE state = 'open' AND silent_on <= $1
                AND NOT EXISTS (SELECT FROM groups g WHERE g.group_id = c.group_id AND g.state = 'settling'))
           + (SELECT count(*) FROM hints WHERE ends_on <= $1)""",
    # open matters that become alerts, visits that have waited long enough for their entitlement
    "supervision": f"""
      SELECT (SELECT count(*) FROM matters WHERE NOT raised AND due_at <= $2)
           + (SELECT count(*) FROM tasks WHERE verdict = 'waiting' AND $1::date IS NOT NULL
                AND at <= $2 - make_interval(mins => {checks().entitlement_wait_minutes}))""",  # noqa: S608 - a number
    "identification": "SELECT count(*) FROM persons WHERE next_edge_on <= $1 AND $2::timestamptz IS NOT NULL",
    "assessment": "SELECT count(*) FROM needs WHERE act_on <= $1 AND $2::timestamptz IS NOT NULL",
    "dispatch": """SELECT (SELECT count(*) FROM plans WHERE act_on <= $1)
                        + (SELECT count(*) FROM tasks WHERE act_at <= $2)""",
    "subsidy": """SELECT count(*) FROM accounts WHERE next_change_month <= $1 AND $2::timestamptz IS NOT NULL""",
}


async def load_backlog(databases: Databases, kafka: AIOKafkaConsumer) -> list[str]:
    """Return one sentence per service and kind of backlog; empty if there is no backlog."""
    found: list[str] = []
    for name, database in databases.items():
        rows = await _load_rows(name, database)
        read = rows.next_offsets
        if name == "ingestion":
            read = dict.fromkeys(await inbound_partitions(kafka), None) | read
        found += _sentences(name, rows, await _unread(kafka, read))
    return found


class _Rows(NamedTuple):
    """The backlog in one database. `pending`: outbox rows; `due`: rows whose day has come; `stopped`: partitions.

    `next_offsets`: the stored position per partition; None if no record of the partition has been read.
    """

    pending: int
    due: int
    stopped: int
    next_offsets: dict[TopicPartition, int | None]


async def _load_rows(name: str, database: Database) -> _Rows:
    count_due = DUE[name]
    async with database.reading() as connection:
        pending = await connection.fetchval("SELECT count(*) FROM outbox")
        offsets = await connection.fetch("SELECT topic, part, next_offset FROM consumer_offsets")
        stopped = await connection.fetchval("SELECT count(*) FROM consumer_offsets WHERE stopped IS NOT NULL")
        due = await connection.fetchval(count_due, clock.today(), clock.now()) if count_due else 0
    next_offsets = {TopicPartition(topic, part): next_offset for topic, part, next_offset in offsets}
    return _Rows(pending, due, stopped, next_offsets)


def _sentences(name: str, rows: _Rows, unread: int) -> Iterator[str]:
    if rows.pending:
        yield f"{name}: {rows.pending} events wait to be sent"
    if rows.due:
        yield f"{name}: {rows.due} rows whose day has come"
    if rows.stopped:
        yield f"{name}: {rows.stopped} partitions are stopped, see `shouwang offsets list {name}`"
    if unread:
        yield f"{name}: {unread} records wait to be read"


async def inbound_partitions(kafka: AIOKafkaConsumer) -> list[TopicPartition]:
    """Return the partitions of all topics of sources, also of new topics without a stored position."""
    cluster = await kafka._client.fetch_all_metadata()
    return [
        TopicPartition(topic, part)
        for topic in sorted(cluster.topics())
        if is_inbound(topic)
        for part in sorted(cluster.partitions_for_topic(topic) or ())
    ]


async def _unread(kafka: AIOKafkaConsumer, next_offsets: Mapping[TopicPartition, int | None]) -> int:
    """Return the number of records from the next offsets on. None: no record of the partition has been read."""
    if not next_offsets:
        return 0
    begins = await kafka.beginning_offsets(list(next_offsets))
    ends = await kafka.end_offsets(list(next_offsets))
    total = 0
    for partition, offset in next_offsets.items():
        first = begins[partition] if offset is None else offset
        total += max(0, ends[partition] - first)
    return total


async def wait_until_quiet(databases: Databases, kafka: AIOKafkaConsumer, seconds: float) -> list[str]:
    """Wait until the backlog is empty twice in a row, at most `seconds`. Returns the last backlog as sentences."""
    deadline, was_empty = monotonic() + seconds, False
    while True:
        backlog = await load_backlog(databases, kafka)
        if not backlog and was_empty:
            return []
        if monotonic() > deadline:
            return backlog
        was_empty = not backlog
        await asyncio.sleep(LOOK_EVERY_SECONDS)
