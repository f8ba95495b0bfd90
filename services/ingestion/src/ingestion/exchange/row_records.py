"""Records the rows of a page through the core of all intake channels, and stores the state of each key."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from shell.store.transaction import Tx

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Refused
from ingestion.exchange.domain.decisions import decide_missing, decide_row, is_older
from ingestion.exchange.domain.states import Change, Draft, KeyState
from ingestion.exchange.draft_events import event_of, load_heads
from ingestion.exchange.feeds import Setup
from ingestion.exchange.layouts import Layout
from ingestion.exchange.store import feed_rows as store
from ingestion.exchange.store.feed_rows import KnownRow, RowReject
from ingestion.exchange.table_rows import TableRow, read_row, watermark_of
from ingestion.files.domain.table import bounded
from ingestion.files.rejects import keep
from ingestion.files.row_events import Sender, Shaped, rejection
from ingestion.recording.core import record
from ingestion.recording.rejections import record_refusals


class Counts(NamedTuple):
    """Numbers of rows by result. Every row has one result."""

    accepted: int
    unchanged: int
    quarantined: int
    rejected: int

    def __add__(self, other: "Counts") -> "Counts":  # type: ignore[override]
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))


@dataclass
class Page:
    """A page of rows and its results. By key: `known`, the stored states; `heads`, the last event of the present
    period; `saved`, the new states. By number of the row: `events`, `shaped`, `rejected`. `rejections`: events to count
    as rejected."""

    setup: Setup
    run: int
    now: datetime
    known: dict[bytes, KnownRow]
    heads: dict[bytes, Pushed] = field(default_factory=dict)
    saved: dict[bytes, KnownRow] = field(default_factory=dict)
    events: dict[int, list[Pushed]] = field(default_factory=dict)
    shaped: dict[int, Shaped] = field(default_factory=dict)
    rejected: dict[int, tuple[Shaped, Sequence[Fault]]] = field(default_factory=dict)
    rejections: list[Refused] = field(default_factory=list)

    def event_of(self, key: bytes, draft: Draft, own: Pushed | None, at: datetime) -> Pushed | Refused:
        return event_of(self.setup, key, draft, own, self.heads.get(key), at=at, now=self.now)


async def record_page(tx: Tx, layout: Layout, run: int, rows: Sequence[TableRow], now: datetime) -> Counts:
    """Record the differences between these rows and the stored states. The number of SQL statements is fixed."""
    page = await _load_page(tx, layout.setup, run, rows, now)
    repeated = _repeated_keys(layout.setup, rows)
    for row in rows:
        if row.key not in page.saved and not _is_changed(page.known, row):
            _store_watermark(page, layout, row)
        else:
            _read_and_decide(page, layout, row, row.key in repeated)
    await record_refusals(tx, page.rejections, now)
    receipts = await _record(tx, page)
    return await _save(tx, page, rows, receipts)


async def _load_page(tx: Tx, setup: Setup, run: int, rows: Sequence[TableRow], now: datetime) -> Page:
    known = await store.lock_rows(tx, setup.feed.feed, {row.key for row in rows})
    changed = {row.key for row in rows if row.key in known and _is_changed(known, row)}
    heads = await load_heads(tx, setup, {key: known[key].state for key in changed})
    return Page(setup, run, now, known, heads)


def _is_changed(known: dict[bytes, KnownRow], row: TableRow) -> bool:
    return row.key not in known or known[row.key].raw != row.raw


async def reject_rows(tx: Tx, layout: Layout, run: int, rows: Sequence[TableRow], now: datetime) -> Counts:
    """Reject rows that caused an error of ours. They are decided again whenever they are read."""
    setup = layout.setup
    known = await store.lock_rows(tx, setup.feed.feed, {row.key for row in rows})
    page = Page(setup, run, now, known)
    sender = Sender(setup.feed.source, setup.feed.source, now)
    faults = [fault("", "internal")]
    for row in rows:
        cells = bounded(row.number, row.cells)
        page.rejected[row.number] = (Shaped(cells, 0, rejection(cells, sender, faults), {}), faults)
    return await _save(tx, page, rows, {})


async def end_missing(tx: Tx, setup: Setup, run: int, known: dict[bytes, KnownRow], now: datetime) -> int:
    """End the facts of rows that are no longer in a full load. Returns the number of rows with an event."""
    heads = await load_heads(tx, setup, {key: row.state for key, row in known.items()})
    page = Page(setup, run, now, known, heads)
    for number, (key, row) in enumerate(known.items()):
        _end_row(page, number, key, row.state)
    await record_refusals(tx, page.rejections, now)
    await _record(tx, page)
    await store.save_rows(tx, setup.feed.feed, run, page.saved.items())
    return sum(1 for events in page.events.values() if events)


def _end_row(page: Page, number: int, key: bytes, state: KeyState) -> None:
    drafts, after = decide_missing(state, page.now, page.setup.rules)
    events = [page.event_of(key, draft, None, after.at) for draft in drafts]
    page.events[number] = [event for event in events if isinstance(event, Pushed)]
    page.rejections += [event for event in events if isinstance(event, Refused)]
    page.saved[key] = KnownRow(after._replace(life="ended") if after.life == "alive" else after, b"")


def _repeated_keys(setup: Setup, rows: Sequence[TableRow]) -> set[bytes]:
    """Keys of several different rows. They are faults in a full load. A log of changes repeats its keys."""
    if setup.feed.mode != "full":
        return set()
    first: dict[bytes, bytes] = {}
    return {row.key for row in rows if first.setdefault(row.key, row.raw) != row.raw}


# ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────


def _store_watermark(page: Page, layout: Layout, row: TableRow) -> None:
    """The cells are unchanged. A newer watermark is stored."""
    known, watermark = page.known[row.key], watermark_of(layout, row)
    if _is_newer(known.state, watermark):
        page.saved[row.key] = known._replace(state=known.state._replace(watermark=watermark))


def _is_newer(state: KeyState, watermark: tuple[Any, ...] | None) -> bool:
    try:
        return watermark is not None and (state.watermark is None or watermark > state.watermark)
    except TypeError:  # the column has another type now
        return True


def _read_and_decide(page: Page, layout: Layout, row: TableRow, is_repeated: bool) -> None:
    shaped, change = read_row(layout, row, page.now)
    if is_repeated:
        page.rejected[row.number] = (shaped, [fault("", "key_repeated")])
    elif change is None:
        assert isinstance(shaped.read, Refused)
        _reject(page, row, shaped, shaped.read)
    else:
        _decide(page, row, shaped, change)


def _decide(page: Page, row: TableRow, shaped: Shaped, change: Change) -> None:
    before = page.saved.get(row.key) or page.known.get(row.key)
    drafts, after = decide_row(before.state if before else None, change, page.setup.rules)
    own = shaped.read if isinstance(shaped.read, Pushed) else None
    events: list[Pushed] = []
    for draft in drafts:
        event = page.event_of(row.key, draft, own, after.at)
        if isinstance(event, Refused):
            _reject(page, row, shaped, event)
            return
        events.append(event)
    if events:
        page.heads[row.key] = events[-1]
    page.events[row.number], page.shaped[row.number] = events, shaped
    was_older = before is not None and is_older(before.state, change)
    page.saved[row.key] = KnownRow(after, before.raw if before and was_older else row.raw)


def _reject(page: Page, row: TableRow, shaped: Shaped, event: Refused) -> None:
    page.rejected[row.number] = (shaped, event.faults)
    page.rejections.append(event)


# ── record and save ─────────────────────────────────────────────────────────────────────────────────────────


async def _record(tx: Tx, page: Page) -> dict[int, list[Receipt]]:
    """Receipts by number of the row."""
    numbered = [(number, event) for number, events in page.events.items() for event in events]
    receipts = await record(tx, [event for _, event in numbered], page.now)
    found: dict[int, list[Receipt]] = {}
    for (number, _), receipt in zip(numbered, receipts, strict=True):
        found.setdefault(number, []).append(receipt)
    return found


async def _save(tx: Tx, page: Page, rows: Sequence[TableRow], receipts: dict[int, list[Receipt]]) -> Counts:
    feed = page.setup.feed.feed
    counts = _count(page, rows, receipts)
    rejects = _rejects_by_key(page, rows)
    await store.save_rejects(tx, rejects.values())
    await store.delete_rejects(tx, feed, {row.key for row in rows} - set(rejects))
    await store.save_rows(tx, feed, page.run, page.saved.items())
    if page.setup.feed.mode == "full":
        present = {row.key for row in rows if row.key in page.known}
        await store.touch_rows(tx, feed, page.run, present - set(page.saved))
    return counts


def _count(page: Page, rows: Sequence[TableRow], receipts: dict[int, list[Receipt]]) -> Counts:
    """Count the rows by result, and reject those that the core rejected."""
    counts = Counter[str]()
    for row in rows:
        status = _status(receipts.get(row.number, ()))
        if status == "rejected":
            _reject_by_core(page, row, receipts[row.number])
        counts["rejected" if row.number in page.rejected else status] += 1
    return Counts(*(counts[status] for status in Counts._fields))


def _status(receipts: Sequence[Receipt]) -> str:
    found = {receipt.status for receipt in receipts}
    return next((s for s in ("rejected", "quarantined", "accepted") if s in found), "unchanged")


def _reject_by_core(page: Page, row: TableRow, receipts: Sequence[Receipt]) -> None:
    """The state is saved without a hash of the cells: the row is decided again whenever it is read."""
    faults = [problem for receipt in receipts for problem in receipt.problems]
    page.rejected[row.number] = (page.shaped[row.number], faults)
    page.saved[row.key] = page.saved[row.key]._replace(raw=b"")


def _rejects_by_key(page: Page, rows: Sequence[TableRow]) -> dict[bytes, RowReject]:
    """The last row of a key decides whether the key is rejected."""
    rejects: dict[bytes, RowReject] = {}
    for row in rows:
        if row.number in page.rejected:
            rejects[row.key] = _row_reject(page, row)
        else:
            rejects.pop(row.key, None)
    return rejects


def _row_reject(page: Page, row: TableRow) -> RowReject:
    shaped, faults = page.rejected[row.number]
    feed = page.setup.feed.feed
    problems, sealed = keep(shaped, faults, f"feed/{feed}/{row.key.hex()}")
    return RowReject(feed, row.key, page.run, page.now, problems, sealed)
