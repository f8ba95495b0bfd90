"""Finds the columns of a front-end table that are read, and the use of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
from shell.privacy import vault

from ingestion.exchange.feeds import FeedBroken, Setup
from ingestion.files.domain.cells import plain
from ingestion.files.domain.table import COLUMNS_MAX, DAY_ZERO
from ingestion.files.row_events import Plan, make_plan

_sorted = msgspec.json.Encoder(order="sorted").encode
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True)
class Layout:
    """The columns that a feed reads, and their use. No other column leaves the front-end database.

    `plan`: how the cells of a row become an event. Properties that end in `_at` are positions in `columns`."""

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
    def deletes(self) -> dict[str, bool]:
        """Word of the operation column → whether it deletes the row."""
        operation = self.setup.feed.operation
        if operation is None:
            return {}
        present = dict.fromkeys(map(_word, operation.present), False)
        return present | dict.fromkeys(map(_word, operation.deleted), True)

    def is_deleted(self, text: str) -> bool | None:
        """Whether the operation deletes the row; None for an unknown word. `text`: its cell; empty means present."""
        return self.deletes.get(_word(text)) if text else False

    @cached_property
    def content_at(self) -> list[int]:
        """Positions of the columns with content. The recording time is no content."""
        return sorted({c.at for c in self.plan.columns if c.pointer != "/time"})

    @cached_property
    def mapping_digest(self) -> str:
        """Keyed hash of the mapping. If the mapping changes, every row is decided again."""
        mapping = self.setup.mapping
        used = [mapping.kind, mapping.given, mapping.columns, mapping.defaults, mapping.codes, mapping.derived]
        return vault().blind_index(f"rules\0{_sorted(used).decode()}")[:_DIGEST_BYTES].hex()

    @cached_property
    def column_names(self) -> dict[str, str]:
        """Pointer into the event → name of the column. The id of an event follows from the key."""
        operation = self.setup.feed.operation
        names = {"/id": self.setup.feed.key[0], **self.plan.names}
        return names | ({"/data/action": operation.column} if operation else {})


def _word(text: str) -> str:
    return plain(text).upper()


def make_layout(setup: Setup, names: dict[str, str]) -> Layout:
    """Find the columns of a feed. Raises FeedBroken if one is missing or ambiguous.

    `names`: column of the table, in lower case → its name in the database."""
    header = list(names.values())
    needed = _needed_columns(setup, names)
    found = _mapped_columns(setup, header)
    columns = _columns_to_read(needed, [header[at] for at in found.values()])
    position = {name: at for at, name in enumerate(columns)}
    read_at = {field: position[header[at].lower()] for field, at in found.items()}
    plan = make_plan(setup.mapping, read_at, list(columns.values()), 0, DAY_ZERO)
    return Layout(setup, tuple(columns.values()), plan)


def _columns_to_read(needed: Sequence[str], mapped: Sequence[str]) -> dict[str, str]:
    """Name in lower case → name as the feed or the database writes it, without repetitions."""
    columns = {name.lower(): name for name in needed}
    for name in mapped:
        columns.setdefault(name.lower(), name)
    return columns


def _needed_columns(setup: Setup, names: dict[str, str]) -> list[str]:
    """The columns of the watermark, the key and the operation."""
    operation = setup.feed.operation
    needed = [*setup.order, *([operation.column] if operation else [])]
    missing = [name for name in needed if name.lower() not in names]
    if missing:
        raise FeedBroken("column_missing", columns=missing, found=list(names.values())[:COLUMNS_MAX])
    return needed


def _mapped_columns(setup: Setup, header: Sequence[str]) -> dict[str, int]:
    """Field of the event → position of its column in the table."""
    mapping = setup.mapping
    found = mapping.found_in(header)
    lost = [field for field in setup.feed.mapping.columns if field not in found]
    if not found or lost:
        raise _columns_missing(setup, lost or ["person.id_number"], header)
    if ambiguous := mapping.ambiguous(header):
        raise FeedBroken("column_ambiguous", columns=ambiguous, found=list(header)[:COLUMNS_MAX])
    if missing := mapping.missing(found):
        raise _columns_missing(setup, missing, header)
    return found


def _columns_missing(setup: Setup, fields: Sequence[str], header: Sequence[str]) -> FeedBroken:
    return FeedBroken("column_missing", columns=setup.mapping.wanted(fields), found=list(header)[:COLUMNS_MAX])
