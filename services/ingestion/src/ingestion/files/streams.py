"""Reads the rows of a spooled file of any format, and makes an event of each row."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import IO, Any, Final, Literal, get_args

import msgspec

from ingestion.domain.problems import fault
from ingestion.files import workbook
from ingestion.files.columnar import open_parquet
from ingestion.files.delimited import open_delimited
from ingestion.files.domain.table import (
    COLUMNS_MAX,
    CUT,
    DAY_ZERO,
    HEADER_CHARS_KEPT,
    HEADER_ROWS_MAX,
    TABLES_MAX,
    FileBroken,
    Row,
    Table,
    is_blank,
    text_of,
)
from ingestion.files.mapping import Given, Mapping, resolve
from ingestion.files.ndjson import read_lines
from ingestion.files.row_events import Plan, Sender, Shaped, make_plan, rejection, shape
from ingestion.reading.events import read_event

Format = Literal["csv", "xlsx", "ndjson", "parquet"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)
_PLANS_MAX: Final = 64


def sniff(head: bytes) -> Format:
    """The format that the first bytes show. Raises FileBroken for a known format that is not supported."""
    if head.startswith(b"PK"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileBroken("format_xls")
    if head.startswith((b"\x1f\x8b", b"%PDF", b"Rar!", b"7z\xbc\xaf")):
        raise FileBroken("format_unknown")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return "ndjson"
    return "csv"


class RowStream:
    """The rows of a file in order. `headers`: column names of each table that was read so far; `skipped`: number of
    tables with rows but without a header. The iterator of `rows` raises FileBroken, also after some rows."""

    def __init__(self, file: IO[bytes], format: str, kind: str | None, given: Given, sender: Sender) -> None:
        self.headers: list[list[str]] = []
        self.skipped = 0
        self._file, self._format, self._given, self._sender = file, format, given, sender
        self._mapping = resolve(kind, given) if kind is not None else None
        self._plans: dict[tuple[str, ...], Plan | str] = {}  # by names of the fields of a flat object

    def rows(self, now: Callable[[], datetime]) -> Iterator[Shaped]:
        """Iterate over all rows that are not blank. `now` gives the instant at which a row is read."""
        if self._format == "ndjson":
            return self._of_lines(now)
        if self._mapping is None:
            raise FileBroken("kind_needed")
        return self._of_tables(self._mapping, now)

    # -- tables

    def _tables(self, mapping: Mapping) -> Iterator[Table]:
        match self._format:
            case "xlsx":
                yield from workbook.open_workbook(self._file, self._given.sheet)
            case "parquet":
                yield open_parquet(self._file)
            case _:
                encoding = "utf-8-sig" if self._given.encoding == "utf-8" else self._given.encoding
                yield open_delimited(
                    self._file, lambda cells: len(mapping.found_in(cells)), encoding, self._given.delimiter
                )

    def _of_tables(self, mapping: Mapping, now: Callable[[], datetime]) -> Iterator[Shaped]:
        for table in self._tables(mapping):
            first = list(islice(table.rows, HEADER_ROWS_MAX))
            at = _header_at(mapping, first)
            if at is None:
                self.skipped += any(not is_blank(row.cells) for row in first)
                continue
            table_plan = self._plan_of_table(mapping, table, first[at])
            for row in chain(first[at + 1 :], table.rows):
                if _has_content(row):
                    yield shape(row, table_plan, self._sender, now())
        if not self.headers:
            raise FileBroken("header_not_found", looked_for=list(mapping.columns["person.id_number"]))

    def _plan_of_table(self, mapping: Mapping, table: Table, header: Row) -> Plan:
        found = mapping.found_in(header.cells)
        if ambiguous := mapping.ambiguous(header.cells):
            raise FileBroken("column_ambiguous", columns=ambiguous)
        if missing := mapping.missing(found):
            raise FileBroken("column_missing", columns=mapping.wanted(missing))
        if len(self.headers) >= TABLES_MAX:
            raise FileBroken("too_many_tables", tables_max=TABLES_MAX)
        names = [text_of(cell)[:HEADER_CHARS_KEPT] for cell in header.cells]
        self.headers.append(names)
        return make_plan(mapping, found, names, len(self.headers) - 1, table.serials_from)

    # -- lines

    def _of_lines(self, now: Callable[[], datetime]) -> Iterator[Shaped]:
        self.headers.append([])
        for place, line, broken in read_lines(self._file):
            text = line.decode("utf-8", "replace") + (CUT if broken == "row_too_long" else "")
            yield self._of_line(Row(place, [text], broken), line, now())

    def _of_line(self, row: Row, line: bytes, now: datetime) -> Shaped:
        """Make the event of a line. The line is a CloudEvent, or an object whose keys are names of columns."""
        if row.broken is not None:
            return self._reject(row, row.broken)
        try:
            value = msgspec.json.decode(line)
        except RecursionError:
            return self._reject(row, "too_deep")
        except msgspec.DecodeError:
            return self._reject(row, "not_json")
        if not isinstance(value, dict) or "specversion" in value:
            return Shaped(row, 0, read_event(line, now, only_source=self._sender.only), {})
        if self._mapping is None:
            return self._reject(row, "kind_needed")
        return self._of_object(self._mapping, row, value, now)

    def _of_object(self, mapping: Mapping, row: Row, value: dict[str, Any], now: datetime) -> Shaped:
        object_plan = self._plan_for(mapping, tuple(value))
        if isinstance(object_plan, str):
            return self._reject(row, object_plan)
        shaped = shape(Row(row.place, list(value.values())), object_plan, self._sender, now)
        return shaped._replace(row=row)

    def _plan_for(self, mapping: Mapping, names: tuple[str, ...]) -> Plan | str:
        if names not in self._plans:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[names] = _plan_of_object(mapping, names)
        return self._plans[names]

    def _reject(self, row: Row, code: str) -> Shaped:
        return Shaped(row, 0, rejection(row, self._sender, [fault("", code)]), {})


def _has_content(row: Row) -> bool:
    return row.broken is not None or not is_blank(row.cells)


def _header_at(mapping: Mapping, rows: Sequence[Row]) -> int | None:
    """The position of the header among the first rows; None if there is none."""
    for at, row in enumerate(rows):
        if mapping.found_in(row.cells):
            return at
    return None


def _plan_of_object(mapping: Mapping, names: tuple[str, ...]) -> Plan | str:
    """The plan for objects with these keys. The code of the fault if no key is known as the ID number, if there are too
    many keys, or if several keys could hold one field."""
    found = mapping.found_in(names)
    if not found or len(names) > COLUMNS_MAX:
        return "columns_not_found"
    if mapping.ambiguous(names):
        return "column_ambiguous"
    return make_plan(mapping, found, names, 0, DAY_ZERO)
