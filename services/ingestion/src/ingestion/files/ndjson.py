"""Reads the lines of an NDJSON file; each line has a bounded length."""

from collections.abc import Iterator
from typing import IO, Final

from ingestion.files.domain.table import CELL_CHARS_KEPT

LINE_BYTES_MAX: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield every line that is not blank: its number (from 1), its bytes, and the code of its fault or None. Of a line
    that is too long, only the beginning is given."""
    place = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        place += 1
        if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            _skip_rest(file)
            yield place, line[:CELL_CHARS_KEPT], "row_too_long"
            continue
        line = line.removeprefix(_BOM).strip() if place == 1 else line.strip()
        if line:
            yield place, line, None if _is_utf8(line) else "row_encoding"


def _skip_rest(file: IO[bytes]) -> None:
    while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
        pass


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
