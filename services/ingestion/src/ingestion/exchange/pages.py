"""Decides the rows of one page of a front-end table, and keeps the results until they are saved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.exchange.domain.decisions import decide_missing, decide_row, is_older
from ingestion.exchange.domain.states import Change, Draft, KeyState
from ingestion.exchange.draft_events import event_of
from ingestion.exchange.feeds import Setup
from ingestion.exchange.layouts import Layout
from ingestion.exchange.store.feed_rows import KnownRow, RowReject
from ingestion.exchange.table_rows import TableRow, read_row
from ingestion.files.domain.table import bounded
from ingestion.files.rejects import keep
from ingestion.files.row_events import Sender, Shaped, rejection


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
    """One page and its results.

    By row key: `known`, the stored states; `heads`, the last event of the present period; `saved`, the new states.
    By number of the row: `events`, `shaped` (the row as an event), `rejected`. `rejections`: events to count as
    rejected."""

    setup: Setup
    run: int
    now: datetime
    known: dict[bytes, KnownRow]
    heads: dict[bytes, Pushed] = field(default_factory=dict)
    saved: dict[bytes, KnownRow] = field(default_factory=dict)
    events: dict[int, list[Pushed]] = field(default_factory=dict)
    shaped: dict[int, Shaped] = field(default_factory=dict)
    rejected: dict[int, tuple[Shaped, Sequence[Fault]]] = field(default_factory=dict)
    rejections: list[Rejected] = field(default_factory=list)

    def decide(self, layout: Layout, row: TableRow, is_repeated: bool) -> None:
        """Decide one row: note its events and its new state, or its rejection. Unchanged cells give no event.

        `is_repeated`: a different row of the same full load has the same key."""
        if not is_repeated and row.key not in self.saved and is_unchanged(self.known, row):
            self._save_watermark(row.key, row.watermark)
            return
        shaped, change = read_row(layout, row, self.now)
        if is_repeated:
            self.rejected[row.number] = (shaped, [fault("", "key_repeated")])
        elif change is None:
            assert isinstance(shaped.read, Rejected)
            self._reject(row, shaped, shaped.read)
        else:
            self._decide_change(row, shaped, change)

    def _save_watermark(self, key: bytes, watermark: tuple[Any, ...] | None) -> None:
        known = self.known[key]
        if _is_newer(known.state, watermark):
            self.saved[key] = known._replace(state=known.state._replace(watermark=watermark))

    def _decide_change(self, row: TableRow, shaped: Shaped, change: Change) -> None:
        before = self.saved.get(row.key) or self.known.get(row.key)
        drafts, after = decide_row(before.state if before else None, change, self.setup.rules)
        events = self._events_of(row, shaped, drafts, after.at)
        if events is None:
            return
        if events:
            self.heads[row.key] = events[-1]
        self.events[row.number], self.shaped[row.number] = events, shaped
        was_older = before is not None and is_older(before.state, change)
        self.saved[row.key] = KnownRow(after, before.raw if before and was_older else row.raw)

    def _events_of(self, row: TableRow, shaped: Shaped, drafts: Sequence[Draft], at: datetime) -> list[Pushed] | None:
        """Make the events of the drafts. If one of them is rejected, reject the row and return None."""
        own = shaped.read if isinstance(shaped.read, Pushed) else None
        events: list[Pushed] = []
        for draft in drafts:
            event = self._event_of(row.key, draft, own, at)
            if isinstance(event, Rejected):
                self._reject(row, shaped, event)
                return None
            events.append(event)
        return events

    def _event_of(self, key: bytes, draft: Draft, own: Pushed | None, at: datetime) -> Pushed | Rejected:
        return event_of(self.setup, key, draft, own, self.heads.get(key), at=at, now=self.now)

    def _reject(self, row: TableRow, shaped: Shaped, event: Rejected) -> None:
        self.rejected[row.number] = (shaped, event.faults)
        self.rejections.append(event)

    def reject_for_error(self, row: TableRow) -> None:
        """Reject a row that caused an internal error. Its state is not saved, so the row is decided again when a run
        reads it again. A run that reads changes may not read it."""
        source = self.setup.feed.source
        faults = [fault("", "internal")]
        cells = bounded(row.number, row.cells)
        read = rejection(cells, Sender(source, source, self.now), faults)
        self.rejected[row.number] = (Shaped(cells, 0, read, {}), faults)

    def decide_missing(self, number: int, key: bytes, state: KeyState) -> None:
        """Decide a row that is missing from a full load. `number`: any number that no other row of the page has.

        If an event is rejected, none is recorded and the key stays alive, so the next full load decides it again."""
        drafts, after = decide_missing(state, self.now, self.setup.rules)
        events = [self._event_of(key, draft, None, after.at) for draft in drafts]
        rejections = [event for event in events if isinstance(event, Rejected)]
        if rejections:
            self.rejections += rejections
            self.saved[key] = self.known[key]
            return
        self.events[number] = [event for event in events if isinstance(event, Pushed)]
        self.saved[key] = KnownRow(after._replace(life="ended") if after.life == "alive" else after, b"")

    def count(self, rows: Sequence[TableRow], receipts: Mapping[int, Sequence[Receipt]]) -> Counts:
        """Count the rows by result, and reject each row with a rejected event. `receipts`: by number of the row."""
        counts = Counter[str]()
        for row in rows:
            status = _status(receipts.get(row.number, ()))
            if status == "rejected":
                self._reject_by_core(row, receipts[row.number])
            counts["rejected" if row.number in self.rejected else status] += 1
        return Counts(*(counts[status] for status in Counts._fields))

    def _reject_by_core(self, row: TableRow, receipts: Sequence[Receipt]) -> None:
        """Reject a row whose event `recording` has rejected.

        The state is saved without a hash of the cells, so the row is decided again when a run reads it again."""
        faults = [problem for receipt in receipts for problem in receipt.problems]
        self.rejected[row.number] = (self.shaped[row.number], faults)
        self.saved[row.key] = self.saved[row.key]._replace(raw=b"")

    def rejects(self, rows: Sequence[TableRow]) -> dict[bytes, RowReject]:
        """Return the rejected rows by row key. The last row of a key decides whether the key is rejected."""
        rejects: dict[bytes, RowReject] = {}
        for row in rows:
            if row.number in self.rejected:
                rejects[row.key] = self._reject_of(row)
            else:
                rejects.pop(row.key, None)
        return rejects

    def _reject_of(self, row: TableRow) -> RowReject:
        shaped, faults = self.rejected[row.number]
        feed = self.setup.feed.feed
        problems, sealed = keep(shaped, faults, f"feed/{feed}/{row.key.hex()}")
        return RowReject(feed, row.key, self.run, self.now, problems, sealed)

    def untouched(self, rows: Sequence[TableRow]) -> set[bytes]:
        """Keys of these rows whose stored state stays."""
        return {row.key for row in rows if row.key in self.known and row.key not in self.saved}


def is_unchanged(known: Mapping[bytes, KnownRow], row: TableRow) -> bool:
    return row.key in known and known[row.key].raw == row.raw


def _is_newer(state: KeyState, watermark: tuple[Any, ...] | None) -> bool:
    try:
        return watermark is not None and (state.watermark is None or watermark > state.watermark)
    except TypeError:  # the column has another type now
        return True


def _status(receipts: Sequence[Receipt]) -> str:
    """The result of a row: the worst status among its receipts; `unchanged` without an event that counts or waits."""
    found = {receipt.status for receipt in receipts}
    return next((s for s in ("rejected", "quarantined", "accepted") if s in found), "unchanged")
