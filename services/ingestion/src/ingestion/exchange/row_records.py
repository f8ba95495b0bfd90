"""Records the rows of a page through the core of all intake channels, and stores the state of each key."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from common.events.kinds import WITHOUT_VALUE
from common.events.population import population_type
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Refused
from ingestion.exchange.domain.decisions import decide_missing, decide_row, is_older
from ingestion.exchange.domain.states import Draft, KeyState
from ingestion.exchange.feeds import Setup
from ingestion.exchange.layouts import Layout
from ingestion.exchange.store import feed_rows as store
from ingestion.exchange.store.feed_rows import KnownRow, RowReject
from ingestion.exchange.table_rows import TableRow, read_row, watermark_of
from ingestion.files.domain.table import bounded
from ingestion.files.rejects import keep
from ingestion.files.row_events import Sender, Shaped, rejection
from ingestion.reading.events import read_event, reopen
from ingestion.recording.core import record
from ingestion.recording.rejections import record_refusals
from ingestion.recording.store.statements import load_sealed

_encode = msgspec.json.Encoder().encode


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


async def record_page(tx: Tx, layout: Layout, run: int, rows: Sequence[TableRow], now: datetime) -> Counts:
    """Record the differences between these rows and the stored states. The number of SQL statements is fixed."""
    setup = layout.setup
    known = await store.lock_rows(tx, setup.feed.feed, {row.key for row in rows})
    changed = {row.key for row in rows if row.key in known and known[row.key].raw != row.raw}
    heads = await _load_heads(tx, {key: known[key].state for key in changed}, setup)
    page = Page(setup, run, now, known, heads)
    repeated = _repeated_keys(setup, rows)
    for row in rows:
        if row.key not in page.saved and row.key in known and known[row.key].raw == row.raw:
            _store_watermark(page, layout, row)
        else:
            _decide(page, layout, row, row.key in repeated)
    await record_refusals(tx, page.rejections, now)
    receipts = await _record(tx, page)
    return await _save(tx, page, rows, receipts)


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
    heads = await _load_heads(tx, {key: row.state for key, row in known.items()}, setup)
    page = Page(setup, run, now, known, heads)
    for number, (key, row) in enumerate(known.items()):
        drafts, after = decide_missing(row.state, now, setup.rules)
        events = [_event(page, key, draft, None, after.at) for draft in drafts]
        page.events[number] = [event for event in events if isinstance(event, Pushed)]
        page.rejections += [event for event in events if isinstance(event, Refused)]
        page.saved[key] = KnownRow(after._replace(life="ended") if after.life == "alive" else after, b"")
    await record_refusals(tx, page.rejections, now)
    await _record(tx, page)
    await store.save_rows(tx, setup.feed.feed, run, page.saved.items())
    return sum(1 for events in page.events.values() if events)


async def _load_heads(tx: Tx, states: dict[bytes, KeyState], setup: Setup) -> dict[bytes, Pushed]:
    keys = {vault().event_id(setup.feed.source, _source_id(key, s.head)): key for key, s in states.items() if s.head}
    sealed_events = await load_sealed(tx.sql, keys)
    return {
        keys[event_id]: reopen(vault().open(sealed, event_id.encode())) for event_id, sealed in sealed_events.items()
    }


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


def _decide(page: Page, layout: Layout, row: TableRow, is_repeated: bool) -> None:
    shaped, change = read_row(layout, row, page.now)
    if is_repeated:
        page.rejected[row.number] = (shaped, [fault("", "key_repeated")])
        return
    if change is None:
        assert isinstance(shaped.read, Refused)
        _reject(page, row, shaped, shaped.read)
        return
    before = page.saved.get(row.key) or page.known.get(row.key)
    drafts, after = decide_row(before.state if before else None, change, page.setup.rules)
    own = shaped.read if isinstance(shaped.read, Pushed) else None
    events: list[Pushed] = []
    for draft in drafts:
        event = _event(page, row.key, draft, own, after.at)
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


def _event(page: Page, key: bytes, draft: Draft, own: Pushed | None, at: datetime) -> Pushed | Refused:
    """The event of a draft, with the same checks as every pushed event. `own`: the row as an event."""
    source = page.setup.feed.source
    event = {
        "specversion": "1.0",
        "id": _source_id(key, draft.version),
        "source": source,
        "type": population_type(page.setup.mapping.kind),
        "time": at.isoformat(),
        "data": _event_data(page, key, draft, own),
    }
    return read_event(_encode(event), page.now, only_source=source)


def _event_data(page: Page, key: bytes, draft: Draft, own: Pushed | None) -> dict[str, Any]:
    head = page.heads.get(key)
    about = head if draft.about_former and head is not None else own
    person = {"id_number": about.person.number if about is not None else ""}
    data: dict[str, Any] = {"action": draft.action, "valid_from": draft.valid_from, "valid_to": draft.valid_to}
    if draft.previous is not None:
        data["previous_event_id"] = _source_id(key, draft.previous)
    if draft.action not in WITHOUT_VALUE and own is not None:
        data["value"] = own.value
        if own.name is not None:
            person["name"] = own.name
    return data | {"person": person}


def _source_id(key: bytes, version: int) -> str:
    """The version has leading zeros, because ids decide the order of events with one chain and one time."""
    return f"table-{key.hex()}-{version:06d}"


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
    feed, counts = page.setup.feed.feed, Counter[str]()
    for row in rows:
        status = _status(receipts.get(row.number, ()))
        if status == "rejected":
            _reject_by_core(page, row, receipts[row.number])
        counts["rejected" if row.number in page.rejected else status] += 1
    rejects = _rejects_by_key(page, rows)
    await store.save_rejects(tx, rejects.values())
    await store.delete_rejects(tx, feed, {row.key for row in rows} - set(rejects))
    await store.save_rows(tx, feed, page.run, page.saved.items())
    if page.setup.feed.mode == "full":
        present: Collection[bytes] = {row.key for row in rows if row.key in page.known} - set(page.saved)
        await store.touch_rows(tx, feed, page.run, present)
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
    feed = page.setup.feed.feed
    for row in rows:
        if row.number in page.rejected:
            shaped, faults = page.rejected[row.number]
            problems, sealed = keep(shaped, faults, f"feed/{feed}/{row.key.hex()}")
            rejects[row.key] = RowReject(feed, row.key, page.run, page.now, problems, sealed)
        else:
            rejects.pop(row.key, None)
    return rejects
