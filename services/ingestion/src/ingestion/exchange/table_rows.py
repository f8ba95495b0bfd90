"""Converts a row of a front-end table to its key (a keyed hash), position and cells, and to the change that it states.

Several facts of one kind about one person can hold at a time: one per household, or per item. Each is one *line*.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.events.kinds import LINE_OF
from shell.privacy import vault

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.exchange.domain.states import Change, Content
from ingestion.exchange.feeds import Feed, FeedBroken, Watermark
from ingestion.exchange.frontend import cell_of
from ingestion.exchange.layouts import Layout
from ingestion.exchange.positions import Position, encoded, instant_of, kept_newest
from ingestion.files.domain.cells import plain
from ingestion.files.domain.table import BadCell, Row, TooLong, bounded, text_of
from ingestion.files.row_events import Sender, Shaped, end_of, rejection, shape

_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode
_DIGEST_BYTES: Final = 16
_SUBJECT_BYTES: Final = 8


class TableRow(NamedTuple):
    """A row as it was read. `key`: keyed hash of its key. `has_key`: False if all key columns are empty. `position`:
    its place in the order of the table, with the values of the driver. `watermark`: None if the table has none; an
    instant in the future becomes the instant of the reading. `raw`: keyed hash of its operation and of its cells with
    content. `is_deleted`: None for an unknown operation. `number`: its number in the run."""

    key: bytes
    has_key: bool
    position: Position
    watermark: Position | None
    raw: bytes
    is_deleted: bool | None
    cells: list[Any]
    number: int


def row_of(layout: Layout, values: Sequence[Any], number: int, now: datetime) -> TableRow:
    """Make a row from the values of the driver, read at `now`. Raises FeedBroken if the position cannot be stored.

    The key is part of the position."""
    cells = [cell_of(value) for value in values]
    word = None if layout.operation_at is None else text_of(cells[layout.operation_at]).strip()
    key, position = _key_texts(cells[at] for at in layout.key_at), _position(layout, values)
    return TableRow(
        key=_key_of(layout.setup.feed, key),
        has_key=any(key),
        position=position,
        watermark=_watermark(layout.setup.feed.watermark, position, now),
        raw=_raw_of(layout, word, cells),
        is_deleted=layout.is_deleted(word or ""),
        cells=cells,
        number=number,
    )


def _position(layout: Layout, values: Sequence[Any]) -> Position:
    position = tuple(values[at] for at in layout.order_at)
    types = set(map(type, position))
    if TooLong in types:
        raise FeedBroken("order_unusable", type="text of more than 65,536 characters")
    if BadCell in types:
        raise FeedBroken("order_unusable", type="number of more than 1,000 digits")
    return position


def _raw_of(layout: Layout, word: str | None, cells: Sequence[Any]) -> bytes:
    """Keyed hash of the operation (`word`), the mapping and the cells with content."""
    content = encoded([word, *(_comparable(cells[at]) for at in layout.content_at)])
    return vault().blind_index(f"raw\0{layout.mapping_digest}{content.decode()}")[:_DIGEST_BYTES]


def _key_texts(cells: Iterable[Any]) -> list[str]:
    """The key as text. The text `12 ` and the exact numbers 12 and 12.0 are one key, because drivers give the same key
    in different types."""
    return [plain(text_of(cell)).upper() for cell in cells]


def _key_of(feed: Feed, texts: Sequence[str]) -> bytes:
    """Keyed hash of the key."""
    return vault().blind_index(f"key\0{feed.feed}\0{feed.kind}\0{_encode(texts).decode()}")[:_DIGEST_BYTES]


def _comparable(cell: Any) -> Any:
    """The cell in a type that has a stable encoding."""
    return cell if cell is None or isinstance(cell, str | int | float) else text_of(cell)


def _watermark(watermark: Watermark | None, position: Position, now: datetime) -> Position | None:
    """The watermark in a position. A future instant becomes `now`, so that it does not hide later changes of the
    row."""
    if watermark is None:
        return None
    kept = kept_newest(position[0], watermark, now)
    return (position[0] if kept is None else kept, *position[1 : len(watermark.columns)])


def _written_at(layout: Layout, row: TableRow, now: datetime) -> datetime:
    """When the row was written: the instant in its watermark; `now` if that is unreadable, missing or in the future."""
    watermark = layout.setup.feed.watermark
    if watermark is None:
        return now
    try:
        return min(instant_of(row.position[0], watermark) or now, now)
    except FeedBroken:
        return now


def read_row(layout: Layout, row: TableRow, now: datetime) -> tuple[Shaped, Change | None]:
    """Return the row as an event, and as a change; the change is None if the row is rejected.

    A deleted row needs a readable key only. Its end counts even if its other columns are wrong."""
    at = _written_at(layout, row, now)
    urn = layout.setup.feed.source
    sender = Sender(urn, urn, at)
    cells = bounded(row.number, row.cells)
    if not row.has_key:
        return _unusable(layout, cells, sender, fault("/id", "required")), None
    if row.is_deleted is None:
        return _unusable(layout, cells, sender, fault("/data/action", "operation_unknown")), None
    shaped = shape(cells, layout.plan, sender, now)
    return shaped, _change_of(layout, row, row.is_deleted, shaped, at)


def _unusable(layout: Layout, cells: Row, sender: Sender, found: Fault) -> Shaped:
    return Shaped(cells, 0, rejection(cells, sender, [found]), layout.column_names)


def _change_of(layout: Layout, row: TableRow, is_deleted: bool, shaped: Shaped, at: datetime) -> Change | None:
    """The change that a row states; None if the row is rejected. `at`: when the row was written."""
    if isinstance(shaped.read, Pushed):
        changed_at = max(at, shaped.read.time) if is_deleted else shaped.read.time
        return Change(changed_at, row.watermark, is_deleted, _content_of(shaped.read))
    if not is_deleted:
        return None
    return Change(at, row.watermark, True, None, end_of(shaped.row, layout.plan))


def _content_of(event: Pushed) -> Content:
    value = msgspec.to_builtins(event.value)
    statement = _sorted([event.person.number, event.name, event.valid_from, value])
    subject = f"line\0{event.person.number}\0{_line_of(event)}"
    return Content(
        vault().blind_index(subject)[:_SUBJECT_BYTES],
        vault().blind_index(f"said\0{statement.decode()}")[:_DIGEST_BYTES],
        event.valid_from,
        event.valid_to,
    )


def _line_of(event: Pushed) -> object:
    """The line of an event: its household, or the item in its value; empty if the kind has one fact per person."""
    if event.household is not None:
        return event.household
    line = LINE_OF.get(event.kind) if event.value is not None else None
    return line(event.value) if line else ""
