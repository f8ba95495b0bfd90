"""Reads CSV and similar files: UTF-8 or GB18030, any common delimiter, line breaks in quotes, rows of bounded length.

A row that cannot be split is marked as broken, and no other row is lost. After a quote that never closes, the reader
continues with the next line.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO, Final, TextIO

from ingestion.files.domain.table import (
    CELL_CHARS_KEPT,
    COLUMNS_MAX,
    CUT,
    HEADER_ROWS_MAX,
    ROW_CHARS_MAX,
    FileBroken,
    Row,
    Table,
)

DELIMITERS: Final = (",", "\t", ";", "|")
ENCODINGS: Final = ("utf-8-sig", "gb18030")
_SAMPLE_BYTES: Final = 256 * 1024
_REPLACED: Final = "\ufffd"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
Score = Callable[[Sequence[str]], int]


def open_delimited(file: IO[bytes], score: Score, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Return the only table of the file. Raises FileBroken.

    `score`: the number of known column names in a row. If encoding or delimiter is None, the function chooses the one
    with the highest score in the first rows."""
    sample = file.read(_SAMPLE_BYTES)
    if not sample.strip():
        raise FileBroken("file_empty")
    if sample.startswith(_UTF16):
        raise FileBroken("encoding_unsupported")
    encodings = [encoding] if encoding else _likely(sample)
    delimiters = [delimiter] if delimiter else DELIMITERS
    chosen_encoding, chosen_delimiter = _detect(sample, score, encodings, delimiters)
    file.seek(0)
    text_file = io.TextIOWrapper(file, chosen_encoding, errors="replace", newline="")
    return Table("", records(text_file, chosen_delimiter))


def _detect(sample: bytes, score: Score, encodings: Sequence[str], delimiters: Sequence[str]) -> tuple[str, str]:
    """The encoding and the delimiter with the highest score; the first pair at equal scores."""
    best, chosen = -1, (encodings[0], delimiters[0])
    for encoding in encodings:
        text = sample.decode(encoding, "replace")
        for delimiter in delimiters:
            found = _best_score(text, delimiter, score)
            if found > best:
                best, chosen = found, (encoding, delimiter)
    return chosen


def _best_score(text: str, delimiter: str, score: Score) -> int:
    """The highest score of a row among the first HEADER_ROWS_MAX rows."""
    first = islice(records(io.StringIO(text, newline=""), delimiter), HEADER_ROWS_MAX)
    return max((score([str(c) for c in row.cells]) for row in first if row.broken is None), default=0)


def _likely(sample: bytes) -> list[str]:
    """Both encodings. The one with fewer invalid bytes comes first."""
    return sorted(ENCODINGS, key=lambda name: sample.decode(name, "replace").count(_REPLACED))


class _Lines:
    """Lines of bounded length. Lines can be put back, to be read again."""

    def __init__(self, file: TextIO) -> None:
        self._read = file.readline
        self._back: list[tuple[str, bool]] = []

    def next(self) -> tuple[str, bool] | None:
        """A line, and whether it is too long; then only its beginning is returned. None at the end."""
        if self._back:
            return self._back.pop()
        line = self._read(ROW_CHARS_MAX + 1)
        if not line:
            return None
        if len(line) <= ROW_CHARS_MAX or line[-1] in "\r\n":
            return line, False
        while (rest := self._read(ROW_CHARS_MAX)) and rest[-1] not in "\r\n":
            pass
        return line[:CELL_CHARS_KEPT], True

    def put_back(self, lines: Sequence[tuple[str, bool]]) -> None:
        self._back.extend(reversed(lines))


def records(file: TextIO, delimiter: str) -> Iterator[Row]:
    """Yield all rows including blank ones, numbered from 1. A row that cannot be split is marked as broken."""
    lines, place = _Lines(file), 0
    while (found := lines.next()) is not None:
        line, is_too_long = found
        place += 1
        if is_too_long:
            yield Row(place, (line + CUT).split(delimiter), "row_too_long")
        elif '"' in line:
            yield _quoted_row(place, line, lines, delimiter)
        else:
            yield _row(place, line.rstrip("\r\n").split(delimiter), _REPLACED in line)


def _quoted_row(place: int, line: str, lines: _Lines, delimiter: str) -> Row:
    cells = _quoted(line, lines, delimiter)
    if cells is None:
        return Row(place, _kept(line, delimiter), "row_quote")
    return _row(place, cells, _REPLACED in line or any(_REPLACED in cell for cell in cells))


def _row(place: int, cells: list[str], has_invalid_bytes: bool) -> Row:
    if len(cells) > COLUMNS_MAX:
        return Row(place, cells[:COLUMNS_MAX], "row_columns")
    return Row(place, cells, "row_encoding" if has_invalid_bytes else None)


def _kept(line: str, delimiter: str) -> list[str]:
    """The cells of a broken line that are kept: the line is shortened and split at every delimiter."""
    text = line.rstrip("\r\n")
    return (text if len(text) <= CELL_CHARS_KEPT else text[:CELL_CHARS_KEPT] + CUT).split(delimiter)


def _quoted(first: str, lines: _Lines, delimiter: str) -> list[str] | None:
    """The cells of a row with quotes, which may continue on further lines. None if the quotes do not match."""
    taken: list[tuple[str, bool]] = []

    def feed() -> Iterator[str]:
        yield first
        size = len(first)
        while (following := lines.next()) is not None:
            taken.append(following)
            size += len(following[0])
            if following[1] or size > ROW_CHARS_MAX:
                return
            yield following[0]

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error:
        lines.put_back(taken)
        return None
