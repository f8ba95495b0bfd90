"""From records to handlers: decode, fold states, claim once, group by event type, call.

A handler takes a batch: `async def on_visits_verified(messages: Sequence[Message[VisitVerified]], tx: Tx) -> None`.
A raw handler takes the records of an untrusted topic as they came: `async def on_pushed(records, tx) -> None`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from common.errors import BadMessage
from common.events import Event
from common.message import Message, Record, from_record, merge_causes

from shell.faults import crash_point
from shell.store.parked import park, parked_keys, supersede
from shell.store.transaction import Tx

Handler = Callable[[Sequence[Message[Any]], Tx], Awaitable[None]]
RawHandler = Callable[[Sequence[Record], Tx], Awaitable[None]]


@dataclass(frozen=True)
class Handlers:
    """What a service listens to. `raw` maps a topic name, or a regular expression beginning with `^`."""

    events: Mapping[type[Event], Handler] = field(default_factory=dict)
    raw: Mapping[str, RawHandler] = field(default_factory=dict)

    def pattern(self) -> str:
        names = {re.escape(cls.topic) for cls in self.events}
        names |= {re.escape(t) if not t.startswith("^") else t.removeprefix("^").removesuffix("$") for t in self.raw}
        return f"^({'|'.join(sorted(names))})$"

    def raw_for(self, topic: str) -> RawHandler | None:
        for name, handler in self.raw.items():
            if name == topic or (name.startswith("^") and re.fullmatch(name.removeprefix("^"), topic)):
                return handler
        return None

    def __bool__(self) -> bool:
        return bool(self.events or self.raw)


async def dispatch(tx: Tx, consumer: str, handlers: Handlers, records: Sequence[Record], generation: int = 0) -> None:
    """Everything a batch does between the fence and the commit."""
    raw: dict[RawHandler, list[Record]] = {}
    messages: list[Message[Event]] = []
    raw_of = {topic: handlers.raw_for(topic) for topic in {record.topic for record in records}}
    for record in records:
        if (handler := raw_of[record.topic]) is not None:
            raw.setdefault(handler, []).append(record)
            continue
        try:
            message = from_record(record)
        except BadMessage as bad:
            await park(tx, consumer, record, bad.reason, None)
            continue
        if message is not None and type(message.data) in handlers.events:
            messages.append(message)
    for raw_handler, batch in raw.items():
        await raw_handler(batch, tx)
    claimed = await _claim(tx, consumer, _fold(messages), generation)
    if generation == 0:  # a deliberate replay goes oldest first and waits behind nobody
        claimed = await _behind_the_parked(tx, consumer, claimed)
    await _handle(tx, handlers, claimed)


def _fold(messages: Sequence[Message[Event]]) -> list[Message[Event]]:
    """Only the newest state per key, with the causes of all it supersedes; other events once each, in order."""
    folded: dict[object, Message[Event]] = {}
    for message in messages:
        cls = type(message.data)
        if not cls.state:
            folded.setdefault(message.id, message)
            continue
        slot = (cls, message.data.key())
        before = folded.pop(slot, None)
        if before is not None:
            older, newer = sorted((before, message), key=_version)
            message = msgspec.structs.replace(newer, causes=merge_causes(older.causes, newer.causes))
        folded[slot] = message
    return list(folded.values())


def _version(message: Message[Event]) -> int:
    return getattr(message.data, "version", 0) if isinstance(getattr(message.data, "version", 0), int) else 0


async def _claim(tx: Tx, consumer: str, messages: list[Message[Event]], generation: int) -> list[Message[Event]]:
    """Drop what was handled before. States need no claim: their version guards them."""
    ids = [m.id for m in messages if not type(m.data).state]
    if ids:
        rows = await tx.sql.fetch(
            """INSERT INTO inbox (consumer, generation, event_id) SELECT $1, $2, unnest($3::uuid[])
               ON CONFLICT DO NOTHING RETURNING event_id""",
            consumer,
            generation,
            ids,
        )
        fresh = {row[0] for row in rows}
        messages = [m for m in messages if type(m.data).state or m.id in fresh]
    crash_point("after_inbox")
    return messages


async def _handle(tx: Tx, handlers: Handlers, messages: Sequence[Message[Event]]) -> None:
    groups: dict[type[Event], list[Message[Event]]] = {}
    for message in messages:
        groups.setdefault(type(message.data), []).append(message)
    for cls, batch in groups.items():
        await handlers.events[cls](batch, tx)


async def _behind_the_parked(tx: Tx, consumer: str, messages: list[Message[Event]]) -> list[Message[Event]]:
    """Where order matters, what follows a parked record of the same key waits behind it; a newer state
    supersedes it."""
    waiting = await parked_keys(tx, consumer)
    if not waiting:
        return messages
    through: list[Message[Event]] = []
    for message in messages:
        record = message.record
        if record is None or record.key is None or (record.topic, record.key) not in waiting:
            through.append(message)
        elif type(message.data).state:
            await supersede(tx, consumer, record)
            through.append(message)
        else:
            await park(tx, consumer, record, "behind_parked", None)
    return through
