"""What providers are told: numbered per provider without gaps, kept in the feed, and sent to their own topics.

The provider's row is locked while its numbers are given, so a reader's cursor can never pass a message that is not
there yet. While a provider's topic does not exist, its messages wait here and never hold up the relay.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from common.events import TaskOffered, TaskWithdrawn
from common.message import Message
from shell import clock
from shell.store.bulk import insert
from shell.store.transaction import Emitted, Tx

from dispatch.tables import FeedRow

RETENTION_DAYS: Final = 30  # as on the providers' topics
_COLUMNS: Final = (
    "provider",
    "seq",
    "event_id",
    "wire_type",
    "task_id",
    "at",
    "correlation_id",
    "causation_id",
    "payload",
    "published",
)


class Told(NamedTuple):
    """A message to a provider. `origin`: the handled message, or the id of the pushed event."""

    event: TaskOffered | TaskWithdrawn
    origin: Message[Any] | str


def provider_topic(uscc: str) -> str:
    return f"dispatch.provider.{uscc}"


async def tell_providers(tx: Tx, messages: Sequence[Told], in_hand: Mapping[str, int]) -> None:
    """Append `messages` in order, and note how many tasks more each provider has `in_hand`. The last thing a
    transaction does: it locks the providers concerned."""
    by_provider: dict[str, list[Told]] = defaultdict(list)
    for told in messages:
        by_provider[told.event.provider].append(told)
    concerned = sorted(by_provider.keys() | in_hand.keys())
    if not concerned:
        return
    rows: list[tuple[Any, ...]] = []
    counts = [(uscc, len(by_provider.get(uscc, ())), in_hand.get(uscc, 0)) for uscc in concerned]
    for uscc, (seq, topic_state) in (await _reserve(tx, counts)).items():
        for number, told in enumerate(by_provider.get(uscc, ()), seq + 1):
            said = _say(tx, told)
            if topic_state == "ready":
                tx.emitted.append(said)
            rows.append(_row(uscc, number, told.event, said, topic_state != "pending"))
    await insert(tx, FeedRow, _COLUMNS, rows)


def _say(tx: Tx, told: Told) -> Emitted:
    """The message as it would lie on the topic, without sending it: the feed shows the same id."""
    aside = Tx(tx.sql, tx.service)
    aside.emit(told.event, told.origin, topic=provider_topic(told.event.provider))
    return aside.emitted[0]


def _row(uscc: str, seq: int, event: TaskOffered | TaskWithdrawn, said: Emitted, published: bool) -> tuple[Any, ...]:
    return (
        uscc,
        seq,
        said.event_id,
        said.wire_type,
        event.task_id,
        said.time,
        said.correlation_id,
        said.causation_id,
        said.payload,
        published,
    )


async def _reserve(tx: Tx, counts: Sequence[tuple[str, int, int]]) -> dict[str, tuple[int, str]]:
    """For each provider: the number before its first new message, and the state of its topic. `counts`: provider,
    messages, tasks more in hand; in the order of providers."""
    usccs = [uscc for uscc, _, _ in counts]
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = ANY($1::text[]) ORDER BY uscc FOR UPDATE", usccs)
    rows = await tx.sql.fetch(
        """UPDATE providers p SET feed_seq = p.feed_seq + u.told, open_tasks = p.open_tasks + u.more
           FROM unnest($1::text[], $2::int[], $3::int[]) AS u(uscc, told, more)
           WHERE p.uscc = u.uscc RETURNING p.uscc, old.feed_seq, p.topic_state""",
        usccs,
        [told for _, told, _ in counts],
        [more for _, _, more in counts],
    )
    return {row["uscc"]: (row["feed_seq"], row["topic_state"]) for row in rows}


async def publish_backlog(tx: Tx, uscc: str, limit: int) -> int:
    """Send what waited for this provider's topic, oldest first; with nothing left the topic is in use."""
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = $1 FOR UPDATE", uscc)
    rows = await tx.sql.fetch(
        "SELECT * FROM feed WHERE provider = $1 AND NOT published ORDER BY seq LIMIT $2", uscc, limit
    )
    tx.emitted.extend(_kept(row) for row in rows)
    await tx.sql.execute(
        "UPDATE feed SET published = true WHERE provider = $1 AND seq = ANY($2::bigint[])",
        uscc,
        [row["seq"] for row in rows],
    )
    if len(rows) < limit:
        await tx.sql.execute("UPDATE providers SET topic_state = 'ready' WHERE uscc = $1", uscc)
    return len(rows)


def _kept(row: Any) -> Emitted:
    at: datetime = row["at"]
    return Emitted(
        topic=provider_topic(row["provider"]),
        key=row["task_id"],
        event_id=row["event_id"],
        wire_type=row["wire_type"],
        state=False,
        urgent=False,
        payload=row["payload"],
        time=at,
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        traceparent=None,
        causes=(),
        extensions=(),
    )


async def prune_feed(tx: Tx, days: int, limit: int) -> int:
    """Forget messages older than the topics keep theirs."""
    deleted = await tx.sql.fetch(
        """DELETE FROM feed WHERE (provider, seq) IN
             (SELECT provider, seq FROM feed WHERE at < $1::timestamptz - make_interval(days => $2) AND published
              LIMIT $3) RETURNING 1""",
        clock.now(),
        days,
        limit,
    )
    return len(deleted)


async def read_feed(connection: Any, uscc: str, after: int, limit: int) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        "SELECT * FROM feed WHERE provider = $1 AND seq > $2 ORDER BY seq LIMIT $3", uscc, after, limit
    )
    return rows
