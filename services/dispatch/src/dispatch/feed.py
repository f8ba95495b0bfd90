"""Number the messages to each provider without gaps, keep them in the provider's feed, and send them to its topic.

The provider's row is locked while numbers are reserved, so messages appear in the order of their numbers. Until a
provider's topic exists, its messages stay in the feed and do not block the relay.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from common.events import TaskOffered, TaskWithdrawn
from common.message import Message
from shell.store.transaction import Emitted, Tx

from dispatch import store
from dispatch.domain.providers import provider_topic
from dispatch.store import FeedEnd, FeedEntry, FeedGrowth

RETENTION_DAYS: Final = 30  # the same as on the providers' topics


class ProviderMessage(NamedTuple):
    """A message to a provider without its number. `origin`: the handled message, or the id of the pushed event."""

    event: TaskOffered | TaskWithdrawn
    origin: Message[Any] | str


async def append_messages(tx: Tx, messages: Sequence[ProviderMessage], load_changes: Mapping[str, int]) -> None:
    """Append `messages` in order, and add `load_changes` to each provider's number of open tasks.

    It locks the providers, so it must be the last step of a transaction. `load_changes`: by credit code.
    """
    by_provider: dict[str, list[ProviderMessage]] = defaultdict(list)
    for message in messages:
        by_provider[message.event.provider].append(message)
    usccs = sorted(by_provider.keys() | load_changes.keys())
    if not usccs:
        return
    growth = [FeedGrowth(uscc, len(by_provider.get(uscc, ())), load_changes.get(uscc, 0)) for uscc in usccs]
    entries: list[FeedEntry] = []
    for end in await store.reserve_numbers(tx, growth):
        entries += _numbered(tx, end, by_provider.get(end.uscc, ()))
    await store.append_feed(tx, entries)


def _numbered(tx: Tx, end: FeedEnd, messages: Sequence[ProviderMessage]) -> Iterator[FeedEntry]:
    """Yield the messages of one provider with their numbers. If the topic is ready, also send them."""
    for seq, message in enumerate(messages, end.seq + 1):
        emitted = _emitted(tx, message)
        if end.topic_state == "ready":
            tx.emitted.append(emitted)
        yield _entry(message, seq, emitted, published=end.topic_state != "pending")


def _emitted(tx: Tx, message: ProviderMessage) -> Emitted:
    """The message in its wire form, not sent yet. The feed and the topic show the same event id."""
    draft = Tx(tx.sql, tx.service)
    draft.emit(message.event, message.origin, topic=provider_topic(message.event.provider))
    return draft.emitted[0]


def _entry(message: ProviderMessage, seq: int, emitted: Emitted, *, published: bool) -> FeedEntry:
    if emitted.payload is None:
        raise ValueError("a message to a provider has a payload")
    return FeedEntry(
        provider=message.event.provider,
        seq=seq,
        event_id=emitted.event_id,
        wire_type=emitted.wire_type,
        task_id=message.event.task_id,
        at=emitted.time,
        correlation_id=emitted.correlation_id,
        causation_id=emitted.causation_id,
        payload=emitted.payload,
        published=published,
    )


async def publish_backlog(tx: Tx, uscc: str, limit: int) -> int:
    """Send up to `limit` unpublished messages of a provider, oldest first. If none is left, the topic becomes ready.

    Returns the number of sent messages.
    """
    entries = await store.lock_unpublished(tx, uscc, limit)
    tx.emitted.extend(_stored(entry) for entry in entries)
    await store.set_published(tx, uscc, [entry.seq for entry in entries])
    if len(entries) < limit:
        await store.set_topic_ready(tx, uscc)
    return len(entries)


def _stored(entry: FeedEntry) -> Emitted:
    """The stored message in its wire form."""
    return Emitted(
        topic=provider_topic(entry.provider),
        key=entry.task_id,
        event_id=entry.event_id,
        wire_type=entry.wire_type,
        state=False,
        urgent=False,
        payload=entry.payload,
        time=entry.at,
        correlation_id=entry.correlation_id,
        causation_id=entry.causation_id,
        traceparent=None,
        causes=(),
        extensions=(),
    )
