"""`shouwang offsets`: where the consumers stand in their topics, and the decision where a stopped one reads on."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from common.calendar import SHANGHAI
from shell.kafka import client as kafka
from shell.kafka.positions import Log, Stored, decide_stop, logs_of
from shell.kafka.resumption import Place, Resume, decide_resume, load_stored, save_resume
from shell.kafka.retention import Place as Unread
from shell.kafka.retention import existing, measure
from shell.kafka.topics import compacted_topics
from shell.settings import Settings
from shell.store.database import Database

from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.terminal import aligned

HEAD: Final = ("service", "topic", "part", "next", "log start", "log end", "last handled", "retention used", "state")
NUMBERS: Final = (2, 3, 4, 5, 7)


class Position(NamedTuple):
    """A row of `consumer_offsets` beside its log. `log`: None if the partition does not exist."""

    place: Place
    row: Stored
    stopped_at: datetime | None
    log: Log | None
    used_ratio: float | None


def main(arguments: Sequence[str]) -> int:
    """Exit 0; `list`: 1 if a partition is stopped; `resume`: 1 if nothing was changed."""
    given = _parser().parse_args(arguments)
    from shouwang.runtime.machine import local_runtime

    runtime = local_runtime()
    if not runtime.kafka_answers():
        raise LocalProblem(f"Kafka at {runtime.kafka_address} does not answer: run `shouwang up`.")
    if given.action == "list":
        return _list(runtime, given.service)
    return _resume(runtime, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang offsets", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="every partition that a service reads, and whether it is stopped")
    listed.add_argument("service", nargs="?")
    resume = actions.add_parser("resume", help="decide where a service reads a partition on; states the effect first")
    resume.add_argument("service")
    resume.add_argument("topic")
    resume.add_argument("partition", help="a number, or `all`")
    resume.add_argument("--from", dest="to", required=True, metavar="beginning|end|OFFSET", type=_target)
    resume.add_argument("--yes", action="store_true", help="do it; without this the effect is only stated")
    resume.add_argument("--by", default=getpass.getuser(), help="who decides, for the record (default: this user)")
    return parser


def _target(text: str) -> str | int:
    if text in ("beginning", "end"):
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"`{text}` is neither `beginning`, `end` nor an offset")


def _services(runtime: Runtime, only: str | None) -> list[str]:
    names = [process.name for process in runtime.processes if process.database]
    if only is not None and only not in names:
        raise LocalProblem(f"There is no service `{only}`: choose one of {', '.join(names)}.")
    return [only] if only else names


@asynccontextmanager
async def open_database(runtime: Runtime, service: str) -> AsyncIterator[Database]:
    """The service's own database. Raises LocalProblem if it does not answer."""
    database = Database(runtime.database_url(service), service, connections_max=2)
    try:
        await database.open()
    except OSError as error:
        raise LocalProblem(f"The database of {service} does not answer: run `shouwang up`.") from error
    try:
        yield database
    finally:
        await database.close()


def _list(runtime: Runtime, only: str | None) -> int:
    found: list[Position] = []
    for service in _services(runtime, only):
        found += asyncio.run(positions_of(runtime, service))
    for line in aligned([HEAD, *map(_cells, found)], NUMBERS):
        print(line)
    stopped = [position for position in found if _stop_of(position)]
    for position in stopped:
        print(f"{position.place.consumer}: {position.place.topic}[{position.place.part}]: {_stop_of(position)}")
    print(f"{len(found)} partitions, {len(stopped)} stopped")
    return 1 if stopped else 0


async def positions_of(runtime: Runtime, service: str) -> list[Position]:
    """Every position of a service with the log that it stands in, by topic and partition."""
    settings = Settings(kafka=runtime.kafka_address)
    async with open_database(runtime, service) as database:
        rows = await database.pool.fetch(
            """SELECT consumer, topic, part, next_offset, epoch, record_ms, stopped, stopped_why, stopped_at
               FROM consumer_offsets ORDER BY topic, part"""
        )
    unread = [Unread(row["topic"], row["part"], row["next_offset"], row["record_ms"]) for row in rows]
    logs = await _logs(settings, [TopicPartition(row["topic"], row["part"]) for row in rows])
    used = await measure(settings, unread)
    return [_position(row, logs, used) for row in rows]


def _position(row: Any, logs: dict[TopicPartition, Log], used: Any) -> Position:
    tp = TopicPartition(row["topic"], row["part"])
    ratio = used[tp].ratio if tp in used else None
    return Position(Place(*row[:3]), Stored(*row[3:8]), row["stopped_at"], logs.get(tp), ratio)


async def _logs(settings: Settings, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Log]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        here = await existing(admin, sorted({tp.topic for tp in partitions}))
    finally:
        await admin.close()
    client = kafka.consumer(settings, None)
    await client.start()
    try:
        return await logs_of(client, here.intersection(partitions)) if here else {}
    finally:
        await kafka.stop(client)


def _stop_of(position: Position) -> str | None:
    """Why the partition is stopped, or will be when its reader next compares it with its log."""
    if position.row.stopped:
        since = f"{position.stopped_at:%Y-%m-%d %H:%M} UTC" if position.stopped_at else "?"
        return f"stopped since {since} ({position.row.stopped}): {position.row.stopped_why}"
    if position.log is None:
        return None
    stop = decide_stop(position.row.next_offset, position.log, compacted=position.place.topic in compacted_topics())
    return f"not stopped yet ({stop.code}): {stop.why}" if stop else None


def _cells(position: Position) -> tuple[str, ...]:
    place, row, log = position.place, position.row, position.log
    handled = "" if row.record_ms is None else _time(row.record_ms)
    used = "" if position.used_ratio is None else f"{position.used_ratio:.0%}"
    state = "stopped" if _stop_of(position) else "no such partition" if log is None else "reads"
    numbers = (row.next_offset, log.start if log else None, log.end if log else None)
    return (
        place.consumer,
        place.topic,
        str(place.part),
        *("" if number is None else str(number) for number in numbers),
        handled,
        used,
        state,
    )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(SHANGHAI).isoformat(" ", "seconds")


def _resume(runtime: Runtime, given: argparse.Namespace) -> int:
    (service,) = _services(runtime, given.service)
    resumes = asyncio.run(plan(runtime, service, given.topic, given.partition, given.to))
    for resume in resumes:
        print(*resume.effects(), sep="\n", end="\n\n")
    if not given.yes:
        print("Nothing is changed. Repeat the command with --yes to do this.")
        return 1
    moved = asyncio.run(carry_out(runtime, service, resumes, given.by))
    print(f"{moved} of {len(resumes)} partitions resumed; the record is in {service}.offset_resumes")
    return 0 if moved == len(resumes) else 1


async def plan(runtime: Runtime, service: str, topic: str, partition: str, to: Any) -> list[Resume]:
    """The effect per partition; `all` takes the stopped partitions of the topic. Raises LocalProblem."""
    chosen = [p for p in await positions_of(runtime, service) if p.place.topic == topic and p.log is not None]
    if partition == "all":
        chosen = [p for p in chosen if _stop_of(p)]
    else:
        chosen = [p for p in chosen if str(p.place.part) == partition]
    if not chosen:
        raise LocalProblem(f"{service} has no such partition: `shouwang offsets list {service}` shows what it reads.")
    found = []
    for position in chosen:
        assert position.log is not None
        try:
            found.append(
                decide_resume(position.place, position.row, position.log, to, compacted=topic in compacted_topics())
            )
        except ValueError as error:
            raise LocalProblem(str(error)) from error
    return found


async def carry_out(runtime: Runtime, service: str, resumes: Sequence[Resume], by: str) -> int:
    """Move the positions, all of them in one transaction or none; returns how many were moved. Raises LocalProblem if
    a position has changed since the effect was stated."""
    async with open_database(runtime, service) as database, database.transaction() as tx:
        for resume in resumes:
            if not await save_resume(tx, resume, by):
                place = f"{resume.place.topic}[{resume.place.part}]"
                row = await load_stored(tx.sql, resume.place)
                at = row.next_offset if row else None
                raise LocalProblem(f"The position of {place} has changed meanwhile to {at}: nothing was done.")
    return len(resumes)
