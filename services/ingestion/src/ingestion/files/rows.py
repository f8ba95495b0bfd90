"""One spooled file as a stream of shaped rows, whatever its format."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import IO, Any, Final, Literal, get_args

import msgspec

from ingestion.domain.problems import fault
from ingestion.files import workbook
from ingestion.files.columnar import open_parquet
from ingestion.files.delimited import open_delimited
from ingestion.files.lines import read_lines
from ingestion.files.mapping import Given, Mapping, resolve
from ingestion.files.row_events import Plan, Sender, Shaped, make_plan, rejection, shape
from ingestion.files.table import (
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
from ingestion.reading.events import read_event

Format = Literal["csv", "xlsx", "ndjson", "parquet"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)
_PLANS_MAX: Final = 64


def sniff(head: bytes) -> Format:
    """The format by the first bytes. Raises FileBroken for what is known and not read."""
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


class Stream:
    """The shaped rows of a file in their order. `headers`: of each table met so far; `skipped`: tables that have rows
    but no header. Iterating raises FileBroken, also in the middle."""

    def __init__(self, file: IO[bytes], format: str, kind: str | None, given: Given, sender: Sender) -> None:
        self.headers: list[list[str]] = []
        self.skipped = 0
        self._file, self._format, self._given, self._sender = file, format, given, sender
        self._mapping = resolve(kind, given) if kind is not None else None

    def rows(self, now: Callable[[], datetime]) -> Iterator[Shaped]:
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
            at = next((at for at, row in enumerate(first) if mapping.found_in(row.cells)), None)
            if at is None:
                self.skipped += any(not is_blank(row.cells) for row in first)
                continue
            header = first[at].cells
            found = mapping.found_in(header)
            _need_columns(mapping, found)
            if len(self.headers) >= TABLES_MAX:
                raise FileBroken("too_many_tables", tables_max=TABLES_MAX)
            self.headers.append([text_of(cell)[:HEADER_CHARS_KEPT] for cell in header])
            planned = make_plan(mapping, found, self.headers[-1], len(self.headers) - 1, table.serials_from)
            for row in chain(first[at + 1 :], table.rows):
                if row.broken is not None or not is_blank(row.cells):
                    yield shape(row, planned, self._sender, now())
        if not self.headers:
            raise FileBroken("header_not_found", looked_for=list(mapping.columns["person.id_number"]))

    # -- lines

    def _of_lines(self, now: Callable[[], datetime]) -> Iterator[Shaped]:
        self.headers.append([])
        plans: dict[tuple[str, ...], Plan | None] = {}
        for place, line, broken in read_lines(self._file):
            text = line.decode("utf-8", "replace") + (CUT if broken == "row_too_long" else "")
            row = Row(place, [text], broken)
            if broken is not None:
                yield self._refuse(row, broken)
                continue
            try:
                value = msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError) as wrong:
                yield self._refuse(row, "too_deep" if isinstance(wrong, RecursionError) else "not_json")
                continue
            if isinstance(value, dict) and "specversion" not in value and self._mapping is not None:
                yield self._of_object(self._mapping, row, value, plans, now)
            elif isinstance(value, dict) and "specversion" not in value:
                yield self._refuse(row, "kind_needed")
            else:
                read = read_event(line, now(), only_source=self._sender.only)
                yield Shaped(row, 0, read, {})

    def _of_object(
        self,
        mapping: Mapping,
        row: Row,
        value: dict[str, Any],
        plans: dict[tuple[str, ...], Plan | None],
        now: Callable[[], datetime],
    ) -> Shaped:
        names = tuple(value)
        if names not in plans:
            if len(plans) >= _PLANS_MAX:
                plans.clear()
            plans[names] = self._plan(mapping, names)
        planned = plans[names]
        if planned is None:
            return self._refuse(row, "columns_not_found")
        shaped = shape(Row(row.place, list(value.values())), planned, self._sender, now())
        return shaped._replace(row=row)

    def _plan(self, mapping: Mapping, names: Sequence[str]) -> Plan | None:
        found = mapping.found_in(names)
        if not found or len(names) > COLUMNS_MAX:
            return None
        return make_plan(mapping, found, names, 0, DAY_ZERO)

    def _refuse(self, row: Row, code: str) -> Shaped:
        return Shaped(row, 0, rejection(row, self._sender, [fault("", code)]), {})


def _need_columns(mapping: Mapping, found: dict[str, int]) -> None:
    missing = mapping.missing(found)
    if missing:
        wanted = [{"field": name, "names": list(mapping.columns.get(name, ()))} for name in missing]
        raise FileBroken("column_missing", columns=wanted)
