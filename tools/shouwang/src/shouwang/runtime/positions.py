"""Reads the positions of the consumers in their topics, and sets them for `shouwang offsets`.

A service does not read a *stopped* partition until an operator has decided where it continues (docs/positions.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import asyncpg
from aiokafka import TopicPartition
from common.calendar import SHANGHAI
from shell.kafka import client as kafka
from shell.kafka.positions import Log, Stored, decide_stop, logs_of
from shell.kafka.resumption import Place, Resume, decide_resume, load_stored, save_resume
from shell.kafka.retention import Place as Unread
from shell.kafka.retention import existing, measure
from shell.kafka.topics import compacted_topics
from shell.settings import Settings

from shouwang.runtime.databases import open_database
from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

Target = Literal["beginning", "end"] | int
TARGETS: Final[tuple[Literal["beginning", "end"], ...]] = ("beginning", "end")


class Position(NamedTuple):
    """The position of one consumer in one partition, from its row in `consumer_offsets`.

    `log`: first and end offset of the partition; None if it does not exist. `used_ratio`: the share of the retention
    time that the oldest unread record has used; None if nothing is unread or the topic is compacted.
    """

    place: Place
    row: Stored
    stopped_at: datetime | None
    log: Log | None
    used_ratio: float | None

    @property
    def name(self) -> str:
        return f"{self.place.topic}[{self.place.part}]"

    @property
    def last_handled(self) -> str:
        """The time of the last handled record in Asia/Shanghai; empty if there is none."""
        if self.row.record_ms is None:
            return ""
        return datetime.fromtimestamp(self.row.record_ms / 1000, UTC).astimezone(SHANGHAI).isoformat(" ", "seconds")

    @property
    def stop_reason(self) -> str | None:
        """The reason why the partition is stopped, or why its reader will stop it soon; None without a reason."""
        if self.row.stopped:
            since = f"{self.stopped_at:%Y-%m-%d %H:%M} UTC" if self.stopped_at else "?"
            return f"stopped since {since} ({self.row.stopped}): {self.row.stopped_why}"
        if self.log is None:
            return None
        stop = decide_stop(self.row.next_offset, self.log, compacted=self.place.topic in compacted_topics())
        return f"not stopped yet ({stop.code}): {stop.why}" if stop else None


async def load_positions(runtime: Runtime, service: str) -> list[Position]:
    """Return every position of a service, sorted by topic and partition. Raises LocalProblem."""
    settings = runtime.kafka_settings(OPERATOR)
    async with open_database(runtime, service) as database:
        rows = await database.pool.fetch(
            """SELECT consumer, topic, part, next_offset, epoch, record_ms, stopped, stopped_why, stopped_at
               FROM consumer_offsets ORDER BY topic, part"""
        )
    unread = [Unread(row["topic"], row["part"], row["next_offset"], row["record_ms"]) for row in rows]
    logs = await _logs(settings, [TopicPartition(row["topic"], row["part"]) for row in rows])
    used = {partition: usage.ratio for partition, usage in (await measure(settings, unread)).items()}
    return [_position(row, logs, used) for row in rows]


def _position(
    row: asyncpg.Record, logs: Mapping[TopicPartition, Log], used: Mapping[TopicPartition, float | None]
) -> Position:
    partition = TopicPartition(row["topic"], row["part"])
    place, stored = Place(*row[:3]), Stored(*row[3:8])
    return Position(place, stored, row["stopped_at"], logs.get(partition), used.get(partition))


async def _logs(settings: Settings, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Log]:
    """Return first and end offset of those partitions that exist."""
    found = await _existing(settings, partitions)
    if not found:
        return {}
    client = kafka.consumer(settings, None)
    await client.start()
    try:
        return await logs_of(client, found)
    finally:
        await kafka.stop(client)


async def _existing(settings: Settings, partitions: Sequence[TopicPartition]) -> Collection[TopicPartition]:
    admin = kafka.admin(settings)
    await admin.start()
    try:
        found = await existing(admin, sorted({partition.topic for partition in partitions}))
    finally:
        await admin.close()
    return found.intersection(partitions)


async def plan(runtime: Runtime, service: str, topic: str, partition: str, to: Target) -> list[Resume]:
    """Return the effect of a resume for each chosen partition, without changing anything.

    `partition`: a number, or `all` for the partitions of the topic that are stopped or that their reader will stop.
    Raises LocalProblem if none is chosen, or if the log does not have the offset `to`.
    """
    compacted = topic in compacted_topics()
    found = []
    for position in await load_positions(runtime, service):
        if position.log is not None and position.place.topic == topic and _is_chosen(position, partition):
            try:
                resume = decide_resume(position.place, position.row, position.log, to, compacted=compacted)
            except ValueError as error:
                raise LocalProblem(str(error)) from error
            found.append(resume)
    if not found:
        raise LocalProblem(f"{service} has no such partition: `shouwang offsets list {service}` shows what it reads.")
    return found


def _is_chosen(position: Position, partition: str) -> bool:
    if partition == "all":
        return position.stop_reason is not None
    return str(position.place.part) == partition


async def carry_out(runtime: Runtime, service: str, resumes: Sequence[Resume], by: str) -> None:
    """Set all positions in one transaction. `by`: the person who decides, for the record.

    Raises LocalProblem if a position has changed since `plan`; then none is set.
    """
    async with open_database(runtime, service) as database, database.transaction() as tx:
        for resume in resumes:
            if not await save_resume(tx, resume, by):
                row = await load_stored(tx.sql, resume.place)
                place = f"{resume.place.topic}[{resume.place.part}]"
                offset = row.next_offset if row else None
                raise LocalProblem(f"The position of {place} has changed meanwhile to {offset}: nothing was done.")
