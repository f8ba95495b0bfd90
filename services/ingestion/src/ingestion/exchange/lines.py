"""From a row of a table to its content: its key without anything readable, its place, and its cells as of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
from common.events.kinds import LINE_OF
from shell.privacy import vault

from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.exchange.domain import Change, Told
from ingestion.exchange.feeds import Feed, FeedBroken, Setup
from ingestion.exchange.frontend import cell_of
from ingestion.exchange.places import Place, encoded, instant_of
from ingestion.files.cells import plain
from ingestion.files.row_events import Plan, Sender, Shaped, end_of, plan, refused, shape
from ingestion.files.table import COLUMNS_MAX, DAY_ZERO, TooLong, bounded, text_of

_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode
_DIGEST_BYTES: Final = 16


class Line(NamedTuple):
    """A row as it was read. `key`: keyed hash of its key; `place`: in the order of the table, as the driver gave it;
    `raw`: keyed hash of all that is read of it but when; `gone`: None for an operation that nobody knows."""

    key: bytes
    place: Place
    raw: bytes
    gone: bool | None
    cells: list[Any]
    number: int


@dataclass(frozen=True)
class Layout:
    """The columns that are read, and what each is for. No other column leaves the front-end database."""

    setup: Setup
    columns: tuple[str, ...]
    plan: Plan

    @cached_property
    def order_at(self) -> list[int]:
        return [self.columns.index(name) for name in self.setup.order]

    @cached_property
    def key_at(self) -> list[int]:
        return [self.columns.index(name) for name in self.setup.feed.key]

    @cached_property
    def operation_at(self) -> int | None:
        operation = self.setup.feed.operation
        return self.columns.index(operation.column) if operation else None

    @cached_property
    def words(self) -> dict[str, bool]:
        operation = self.setup.feed.operation
        if operation is None:
            return {}
        present = {plain(word).upper(): False for word in operation.present}
        return present | {plain(word).upper(): True for word in operation.deleted}

    @cached_property
    def content_at(self) -> list[int]:
        """The columns that say something; when it was recorded is no part of it."""
        return sorted({c.at for c in self.plan.columns if c.pointer != "/time"})

    @cached_property
    def rules(self) -> bytes:
        """By which cells are read: where they change, every row is looked at anew."""
        mapping = self.setup.mapping
        said = [mapping.kind, mapping.given, mapping.columns, mapping.defaults, mapping.codes, mapping.derived]
        return vault().blind_index(f"rules\0{_sorted(said).decode()}")[:_DIGEST_BYTES]


def lay_out(setup: Setup, names: dict[str, str]) -> Layout:
    """`names`: the columns of the table, lower case → as it calls them. Raises FeedBroken."""
    feed, mapping = setup.feed, setup.mapping
    needed = [*setup.order, *([feed.operation.column] if feed.operation else [])]
    _need(feed, [name for name in needed if name.lower() not in names], names)
    header = list(names.values())
    found = mapping.found_in(header)
    own = {name: mapping.columns[name] for name in feed.mapping.columns}
    lost = [name for name in own if name not in found]
    if not found or lost:
        raise _columns_missing(setup, lost or ["person.id_number"], header)
    if missing := mapping.missing(found):
        raise _columns_missing(setup, missing, header)
    read = {name.lower(): name for name in needed}  # as the feed calls them, else as the table does
    for at in found.values():
        read.setdefault(header[at].lower(), header[at])
    places = {name: at for at, name in enumerate(read)}
    columns = list(read.values())
    planned = plan(mapping, {f: places[header[at].lower()] for f, at in found.items()}, columns, 0, DAY_ZERO)
    return Layout(setup, tuple(columns), planned)


def _need(feed: Feed, missing: Sequence[str], names: dict[str, str]) -> None:
    if missing:
        raise FeedBroken("column_missing", columns=list(missing), found=list(names.values())[:COLUMNS_MAX])


def _columns_missing(setup: Setup, fields: Sequence[str], header: Sequence[str]) -> FeedBroken:
    wanted = [{"field": name, "names": list(setup.mapping.columns.get(name, ()))} for name in fields]
    return FeedBroken("column_missing", columns=wanted, found=list(header)[:COLUMNS_MAX])


# ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────


def line_of(layout: Layout, values: Sequence[Any], number: int) -> Line:
    """Raises FeedBroken for a place that cannot be kept. The place has the key too."""
    cells = [cell_of(value) for value in values]
    feed = layout.setup.feed
    key = _key_of(feed, [cells[at] for at in layout.key_at])
    word = None if layout.operation_at is None else text_of(cells[layout.operation_at]).strip()
    gone = False if not word else layout.words.get(plain(word).upper())
    place = tuple(values[at] for at in layout.order_at)
    if TooLong in map(type, place):
        raise FeedBroken("order_unusable", type="text of more than 65,536 characters")
    content = encoded([word, *(_comparable(cells[at]) for at in layout.content_at)])
    raw = vault().blind_index(f"raw\0{layout.rules.hex()}{content.decode()}")[:_DIGEST_BYTES]
    return Line(key, place, raw, gone, cells, number)


def _key_of(feed: Feed, parts: Sequence[Any]) -> bytes:
    """The same for 12, 12.0 and `12 `, however the driver gives it."""
    texts = [plain(text_of(part)).upper() for part in parts]
    return vault().blind_index(f"key\0{feed.feed}\0{feed.kind}\0{_encode(texts).decode()}")[:_DIGEST_BYTES]


def _comparable(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, str | int | float) else text_of(cell)


def mark_of(layout: Layout, line: Line) -> Place | None:
    watermark = layout.setup.feed.watermark
    return line.place[: len(watermark.columns)] if watermark else None


def written_at(layout: Layout, line: Line, now: datetime) -> datetime:
    """When the row was written, as far as the watermark tells; never in the future."""
    watermark = layout.setup.feed.watermark
    if watermark is None:
        return now
    try:
        return min(instant_of(line.place[0], watermark) or now, now)
    except FeedBroken:
        return now


def read_line(layout: Layout, line: Line, now: datetime) -> tuple[Shaped, Change | None]:
    """The row as an event that begins, and the change that it is; None where it is refused. Of a deleted row only the
    key must be readable; the end that it tells counts whatever its other columns hold."""
    at = written_at(layout, line, now)
    urn = layout.setup.feed.source
    sender = Sender(urn, urn, at)
    row = bounded(line.number, line.cells)
    if line.gone is None:
        faults = [fault("/data/action", "operation_unknown")]
        return Shaped(row, 0, refused(row, sender, faults), _names(layout)), None
    shaped = shape(row, layout.plan, sender, now)
    mark = mark_of(layout, line)
    if isinstance(shaped.read, Pushed):
        moment = shaped.read.time if not line.gone else max(at, shaped.read.time)
        return shaped, Change(moment, mark, line.gone, told_by(shaped.read))
    return shaped, Change(at, mark, True, None, end_of(row, layout.plan)) if line.gone else None


def _names(layout: Layout) -> dict[str, str]:
    operation = layout.setup.feed.operation
    return layout.plan.names | ({"/data/action": operation.column} if operation else {})


def told_by(event: Pushed) -> Told:
    value = msgspec.to_builtins(event.value)
    said = _sorted([event.person.number, event.name, event.valid_from, value])
    beside = LINE_OF.get(event.kind) if event.household is None and event.value is not None else None
    line = beside(event.value) if beside else event.household or ""
    return Told(
        vault().blind_index(f"line\0{event.person.number}\0{line}")[:8],
        vault().blind_index(f"said\0{said.decode()}")[:_DIGEST_BYTES],
        event.valid_from,
        event.valid_to,
    )
