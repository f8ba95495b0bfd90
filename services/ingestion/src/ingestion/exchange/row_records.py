"""Records the rows of a page through the core of all intake channels, and saves the state of each key."""

from collections.abc import Sequence
from datetime import datetime

from shell.store.transaction import Tx

from ingestion.domain.receipts import Receipt
from ingestion.exchange.draft_events import load_heads
from ingestion.exchange.feeds import Setup
from ingestion.exchange.layouts import Layout
from ingestion.exchange.pages import Counts, Page, is_unchanged
from ingestion.exchange.store import feed_rows as store
from ingestion.exchange.store.feed_rows import KnownRow
from ingestion.exchange.table_rows import TableRow
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections


async def record_page(tx: Tx, layout: Layout, run: int, rows: Sequence[TableRow], now: datetime) -> Counts:
    """Record the differences between these rows and the stored states, and count the rows by result.

    The number of SQL statements is fixed."""
    page = await _load_page(tx, layout.setup, run, rows, now)
    repeated = _repeated_keys(layout.setup, rows)
    for row in rows:
        page.decide(layout, row, row.key in repeated)
    receipts = await _record(tx, page)
    return await _save(tx, page, rows, receipts)


async def _load_page(tx: Tx, setup: Setup, run: int, rows: Sequence[TableRow], now: datetime) -> Page:
    known = await store.lock_rows(tx, setup.feed.feed, {row.key for row in rows})
    changed = {row.key for row in rows if row.key in known and not is_unchanged(known, row)}
    heads = await load_heads(tx, setup, {key: known[key].state for key in changed})
    return Page(setup, run, now, known, heads)


async def reject_rows(tx: Tx, layout: Layout, run: int, rows: Sequence[TableRow], now: datetime) -> Counts:
    """Reject rows that caused an internal error, and count them."""
    known = await store.lock_rows(tx, layout.setup.feed.feed, {row.key for row in rows})
    page = Page(layout.setup, run, now, known)
    for row in rows:
        page.reject_for_error(row)
    return await _save(tx, page, rows, {})


async def end_missing(tx: Tx, setup: Setup, run: int, known: dict[bytes, KnownRow], now: datetime) -> int:
    """End the facts of rows that are no longer in a full load. Returns the number of rows with an event."""
    heads = await load_heads(tx, setup, {key: row.state for key, row in known.items()})
    page = Page(setup, run, now, known, heads)
    for number, (key, row) in enumerate(known.items()):
        page.decide_missing(number, key, row.state)
    await _record(tx, page)
    await store.save_rows(tx, setup.feed.feed, run, page.saved.items())
    return sum(1 for events in page.events.values() if events)


def _repeated_keys(setup: Setup, rows: Sequence[TableRow]) -> set[bytes]:
    """Keys that several different rows of the page have. They are faults in a full load only.

    A table of changes repeats its keys: the result is then empty."""
    if setup.feed.mode != "full":
        return set()
    first: dict[bytes, bytes] = {}
    return {row.key for row in rows if first.setdefault(row.key, row.raw) != row.raw}


async def _record(tx: Tx, page: Page) -> dict[int, list[Receipt]]:
    """Record the events and rejections of a page. Returns the receipts by number of the row."""
    await record_rejections(tx, page.rejections, page.now)
    numbered = [(number, event) for number, events in page.events.items() for event in events]
    receipts = await record(tx, [event for _, event in numbered], page.now)
    found: dict[int, list[Receipt]] = {}
    for (number, _), receipt in zip(numbered, receipts, strict=True):
        found.setdefault(number, []).append(receipt)
    return found


async def _save(tx: Tx, page: Page, rows: Sequence[TableRow], receipts: dict[int, list[Receipt]]) -> Counts:
    feed = page.setup.feed.feed
    counts = page.count(rows, receipts)
    rejects = page.rejects(rows)
    await store.save_rejects(tx, rejects.values())
    await store.delete_rejects(tx, feed, {row.key for row in rows} - set(rejects))
    await store.save_rows(tx, feed, page.run, page.saved.items())
    if page.setup.feed.mode == "full":
        await store.touch_rows(tx, feed, page.run, page.untouched(rows))
    return counts
