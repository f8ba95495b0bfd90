"""An open file between two steps: its next rows as batches of bounded size, and when to give it up."""

import io
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from shell import clock
from shell.privacy import vault

from ingestion.domain.pushed import Pushed
from ingestion.files.mapping import Given
from ingestion.files.row_events import Sender, Shaped
from ingestion.files.rows import Stream
from ingestion.files.spool import FRAME_BYTES, SealedReader
from ingestion.files.table import FileBroken, chars_of
from ingestion.settings import ImportSettings

BATCH_ROWS: Final = 1_000
BATCH_WEIGHT_MAX: Final = 2_000
BATCH_CHARS_MAX: Final = 4 * 1024 * 1024
HOPELESS_FROM: Final = 10_000
HOPELESS_GOOD_MIN: Final = 0.05
_encode = msgspec.json.Encoder().encode


class Session:
    """An open file, `position` rows into it. Used by one thread at a time. `rejects_bytes`: its rejected rows as they
    are stored."""

    def __init__(self, row: Any, rejects_bytes: int) -> None:
        self.import_id: str = row["import_id"]
        self.spool: str = row["spool"]
        self.sender = Sender(row["source"], row["source"], row["received_at"])
        self._raw = SealedReader(self.spool, row["bytes"])
        self._file = io.BufferedReader(self._raw, FRAME_BYTES)
        given = msgspec.json.decode(row["mapping"], type=Given)
        self.stream = Stream(self._file, row["format"], row["kind"], given, self.sender)
        self._rows: Iterator[Shaped] = self.stream.rows(clock.now)
        self._broken: FileBroken | None = None
        self.rejected: int = row["rejected"]
        self.rejects_bytes = rejects_bytes
        self._limits = ImportSettings()
        self.position = 0
        try:
            self._pass_over(row["rows_read"])
        except BaseException:
            self.close()
            raise

    def _pass_over(self, count: int) -> None:
        """Rows that an earlier session recorded."""
        while self.position < count and next(self._rows, None) is not None:
            self.position += 1

    def batch(self) -> list[Shaped]:
        """The next rows, within limits of rows and of characters; empty at the end. Raises FileBroken after the last
        row that could be read."""
        if self._broken is not None:
            raise self._broken
        found: list[Shaped] = []
        weight = size = 0
        try:
            for shaped in self._rows:
                found.append(shaped)
                read = shaped.read
                weight += 1 + (len(read.members) if isinstance(read, Pushed) else 0)
                size += len(read.kept if isinstance(read, Pushed) else read.body) + chars_of(shaped.row.cells)
                if len(found) >= BATCH_ROWS or weight >= BATCH_WEIGHT_MAX or size >= BATCH_CHARS_MAX:
                    break
        except FileBroken as broken:
            if not found:
                raise
            self._broken = broken
        return found

    def give_up_if_hopeless(self) -> None:
        """Raises FileBroken for a file with too many rows, or with another meaning: nobody corrects a million rows one
        by one."""
        if self.position >= self._limits.rows_max:
            raise FileBroken("too_many_rows", rows_max=self._limits.rows_max)
        good = self.position - self.rejected
        if self.rejected >= HOPELESS_FROM and good < HOPELESS_GOOD_MIN * self.position:
            raise FileBroken("too_many_rejects")

    @property
    def keeps_cells(self) -> bool:
        """Whether the cells of further rejected rows are stored."""
        return self.rejects_bytes < self._limits.rejects_bytes_max

    @property
    def bytes_read(self) -> int:
        return self._raw.tell()

    @property
    def headers(self) -> bytes:
        return vault().seal(_encode(self.stream.headers), f"import/{self.import_id}/headers".encode())

    def close(self) -> None:
        self._rows = iter(())
        self._file.close()
