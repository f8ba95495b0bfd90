"""Store and read the messages of each provider (its feed), and reserve their numbers, which have no gaps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store import reads
from shell.store.bulk import insert
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from dispatch.tables import FeedRow


class FeedEntry(NamedTuple):
    """One message as stored; see `tables.FeedRow`."""

    provider: str
    seq: int
    event_id: str
    wire_type: str
    task_id: str
    at: datetime
    correlation_id: str
    causation_id: str | None
    payload: bytes
    published: bool


class FeedGrowth(NamedTuple):
    """The new messages of one provider in a step. `messages`: their number. `open_tasks`: change of its open tasks."""

    uscc: str
    messages: int
    open_tasks: int


class FeedEnd(NamedTuple):
    """The end of a provider's feed before new messages. `seq`: the number of the last message, 0 for none."""

    uscc: str
    seq: int
    topic_state: str


_COLUMNS: Final = FeedEntry._fields


async def reserve_numbers(tx: Tx, growth: Sequence[FeedGrowth]) -> list[FeedEnd]:
    """Lock the providers, reserve the numbers of their new messages, and update their open tasks.

    Returns the ends of the feeds before these messages. `growth`: sorted by `uscc`.
    """
    usccs = [g.uscc for g in growth]
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = ANY($1::text[]) ORDER BY uscc FOR UPDATE", usccs)
    rows = await tx.sql.fetch(
        """UPDATE providers p SET feed_seq = p.feed_seq + u.messages, open_tasks = p.open_tasks + u.more
           FROM unnest($1::text[], $2::int[], $3::int[]) AS u(uscc, messages, more)
           WHERE p.uscc = u.uscc RETURNING p.uscc, old.feed_seq, p.topic_state""",
        usccs,
        [g.messages for g in growth],
        [g.open_tasks for g in growth],
    )
    return [FeedEnd(*row) for row in rows]


async def append_feed(tx: Tx, entries: Sequence[FeedEntry]) -> None:
    await insert(tx, FeedRow, _COLUMNS, entries)


async def lock_unpublished(tx: Tx, uscc: str, limit: int) -> list[FeedEntry]:
    """Lock a provider's row. Returns its oldest unpublished messages, at most `limit`."""
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = $1 FOR UPDATE", uscc)
    return await _list_unpublished(tx, uscc, limit)


@reads.rows(FeedEntry)
def _list_unpublished(uscc: str, limit: int) -> Select[FeedRow]:
    return (
        select(FeedRow).where(FeedRow.provider == uscc, ~col(FeedRow.published)).order_by(col(FeedRow.seq)).limit(limit)
    )


async def set_published(tx: Tx, uscc: str, numbers: Sequence[int]) -> None:
    await tx.sql.execute(
        "UPDATE feed SET published = true WHERE provider = $1 AND seq = ANY($2::bigint[])", uscc, numbers
    )


async def set_topic_ready(tx: Tx, uscc: str) -> None:
    await tx.sql.execute("UPDATE providers SET topic_state = 'ready' WHERE uscc = $1", uscc)


@reads.rows(FeedEntry)
def list_feed(uscc: str, after: int, limit: int) -> Select[FeedRow]:
    """Return a provider's messages after number `after`, in order, at most `limit`."""
    return select(FeedRow).where(FeedRow.provider == uscc, FeedRow.seq > after).order_by(col(FeedRow.seq)).limit(limit)


async def delete_old_feed(tx: Tx, now: datetime, days: int, limit: int) -> int:
    """Delete published messages older than `days`, at most `limit`. Returns their number."""
    deleted = await tx.sql.fetch(
        """DELETE FROM feed WHERE (provider, seq) IN
             (SELECT provider, seq FROM feed WHERE at < $1::timestamptz - make_interval(days => $2) AND published
              LIMIT $3) RETURNING 1""",
        now,
        days,
        limit,
    )
    return len(deleted)
