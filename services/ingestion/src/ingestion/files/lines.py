"""NDJSON, line by line: CloudEvents or flat rows."""

from collections.abc import Iterator
from typing import IO, Final

from ingestion.files.table import CELL_CHARS_KEPT

LINE_BYTES_MAX: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes, str | None]]:
    """Number (from 1), bytes and what is wrong with it of every line that is not blank."""
    place = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        place += 1
        if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
            yield place, line[:CELL_CHARS_KEPT], "row_too_long"
            continue
        line = line.removeprefix(_BOM).strip() if place == 1 else line.strip()
        if not line:
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            yield place, line, "row_encoding"
            continue
        yield place, line, None
