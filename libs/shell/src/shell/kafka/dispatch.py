"""Pass the records of a batch to handlers.

The steps are: decode, fold (keep the newest state per key), claim (store event ids in the inbox), group by handler,
call.

A handler takes a batch: `async def on_abilities(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None`.
A raw handler takes the undecoded records of an untrusted topic: `async def on_pushed(records, tx) -> None`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from common.errors import BadMessage
from common.events import Event
from common.message import Message, Record, from_record, merge_causes

from shell.faults import crash_point
from shell.store.parked import age_of, load_oldest_waiting, park, supersede
from shell.store.transaction import Tx

Handler = Callable[[Sequence[Message[Any]], Tx], Awaitable[None]]
RawHandler = Callable[[Sequence[Record], Tx], Awaitable[None]]


@dataclass(frozen=True)
class Handlers:
    """The handlers of a service, by event type. A handler of several types gets their events together, in order.

    `raw`: handlers by topic name or by a regular expression that begins with `^`.
    """

    events: Mapping[type[Event], Handler] = field(default_factory=dict)
    raw: Mapping[str, RawHandler] = field(default_factory=dict)

    def pattern(self) -> str:
        """A regular expression that matches exactly the topics to read."""
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
    """Handle one batch between its fence and its commit. `generation`: above 0 for a deliberate replay."""
    raw, messages = await _decode(tx, consumer, handlers, records)
    for raw_handler, batch in raw.items():
        await raw_handler(batch, tx)
    claimed = await _claim(tx, consumer, _fold(messages), generation)
    if generation == 0:  # a deliberate replay does not wait behind older records
        claimed = await _hold_behind_parked(tx, consumer, claimed)
    await _handle(tx, handlers, claimed)


async def _decode(
    tx: Tx, consumer: str, handlers: Handlers, records: Sequence[Record]
) -> tuple[dict[RawHandler, list[Record]], list[Message[Event]]]:
    """Return the records by raw handler, and the decoded messages of all other topics. A record that cannot be decoded
    is parked. An event without a handler is dropped."""
    raw: dict[RawHandler, list[Record]] = {}
    messages: list[Message[Event]] = []
    raw_of = {topic: handlers.raw_for(topic) for topic in {record.topic for record in records}}
    for record in records:
        handler = raw_of[record.topic]
        if handler is not None:
            raw.setdefault(handler, []).append(record)
            continue
        try:
            message = from_record(record)
        except BadMessage as bad:
            await park(tx, consumer, record, bad.reason, None)
            continue
        if message is not None and type(message.data) in handlers.events:
            messages.append(message)
    return raw, messages


def _fold(messages: Sequence[Message[Event]]) -> list[Message[Event]]:
    """Return the newest state per key, with the causes of the older ones, and every other event once, in order."""
    folded: dict[object, Message[Event]] = {}
    for message in messages:
        cls = type(message.data)
        if not cls.state:
            folded.setdefault(message.id, message)
            continue
        key = (cls, message.data.key())
        before = folded.pop(key, None)
        if before is not None:
            older, newer = sorted((before, message), key=_version)
            message = msgspec.structs.replace(newer, causes=merge_causes(older.causes, newer.causes))
        folded[key] = message
    return list(folded.values())


def _version(message: Message[Event]) -> int:
    """Return the version of a state; 0 for an event without a version, or with a digest as its version."""
    version = getattr(message.data, "version", 0)
    return version if isinstance(version, int) else 0


_CLAIM: Final = """
INSERT INTO inbox (consumer, generation, event_id) SELECT $1, $2, unnest($3::uuid[])
ON CONFLICT DO NOTHING RETURNING event_id
"""


async def _claim(tx: Tx, consumer: str, messages: list[Message[Event]], generation: int) -> list[Message[Event]]:
    """Store event ids in the inbox, and return the messages without events that were handled before. States are not
    claimed, since handlers compare their versions.

    A replay also claims for generation 0. So an event whose record is read again later is not handled twice."""
    ids = [m.id for m in messages if not type(m.data).state]
    if ids:
        fresh = {row[0] for row in await tx.sql.fetch(_CLAIM, consumer, generation, ids)}
        if generation > 0:
            await tx.sql.execute(_CLAIM, consumer, 0, ids)
        messages = [m for m in messages if type(m.data).state or m.id in fresh]
    crash_point("after_inbox")
    return messages


async def _handle(tx: Tx, handlers: Handlers, messages: Sequence[Message[Event]]) -> None:
    groups: dict[Handler, list[Message[Event]]] = {}
    for message in messages:
        groups.setdefault(handlers.events[type(message.data)], []).append(message)
    for handler, batch in groups.items():
        await handler(batch, tx)


async def _hold_behind_parked(tx: Tx, consumer: str, messages: list[Message[Event]]) -> list[Message[Event]]:
    """Park events behind an older parked record of the same key, because their order matters. Return the other
    messages. A newer state is handled and supersedes the parked record."""
    records = [message.record for message in messages if message.record is not None]
    waiting = await load_oldest_waiting(tx, consumer, {record.key for record in records if record.key is not None})
    if not waiting:
        return messages
    kept: list[Message[Event]] = []
    for message in messages:
        record = message.record
        oldest = waiting.get((record.topic, record.key)) if record is not None and record.key is not None else None
        if record is None or oldest is None or oldest > age_of(record):
            kept.append(message)
        elif type(message.data).state:
            await supersede(tx, consumer, record)
            kept.append(message)
        else:
            await park(tx, consumer, record, "behind_parked", None)
    return kept
