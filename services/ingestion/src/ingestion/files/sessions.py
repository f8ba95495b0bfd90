"""Reads the rows of an imported file in batches of bounded size. The file stays open from one step of the job to the
next.
"""

import io
from collections.abc import Iterator
from typing import Final

import msgspec
from shell import clock
from shell.privacy import vault

from ingestion.domain.pushed import Pushed
from ingestion.files.domain.table import FileBroken, chars_of
from ingestion.files.mapping import Given
from ingestion.files.row_events import Sender, Shaped
from ingestion.files.spool import FRAME_BYTES, SealedReader
from ingestion.files.store import StoredImport
from ingestion.files.streams import RowStream
from ingestion.settings import ImportSettings

BATCH_ROWS: Final = 1_000
BATCH_WEIGHT_MAX: Final = 2_000
BATCH_CHARS_MAX: Final = 4 * 1024 * 1024
GIVE_UP_FROM: Final = 10_000  # rejected rows
GOOD_SHARE_MIN: Final = 0.05
_encode = msgspec.json.Encoder().encode


class Session:
    """An import with its open file. `position`: number of recorded rows; `rejected`: number of rejected rows;
    `rejects_bytes`: stored size of the rejected rows. One thread at a time may use a session."""

    def __init__(self, row: StoredImport, rejects_bytes: int) -> None:
        """Open the spooled file at its checkpoint. Raises FileBroken, and OSError if the spooled file is lost or
        damaged."""
        assert row.spool is not None
        self.import_id = row.import_id
        self.spool = row.spool
        self.sender = Sender(row.source, row.source, row.received_at)
        self._raw = SealedReader(self.spool, row.bytes)
        self._file = io.BufferedReader(self._raw, FRAME_BYTES)
        self.stream = self._stream_of(row)
        self._rows: Iterator[Shaped] = self.stream.rows(clock.now)
        self._broken: FileBroken | None = None
        self.rejected = row.rejected
        self.rejects_bytes = rejects_bytes
        self._limits = ImportSettings()
        self.position = 0
        try:
            self._skip(row.rows_read)
        except BaseException:
            self.close()
            raise

    def _stream_of(self, row: StoredImport) -> RowStream:
        given = msgspec.json.decode(row.mapping, type=Given)
        return RowStream(self._file, row.format, row.kind, given, self.sender)

    def _skip(self, count: int) -> None:
        """Skip the rows that an earlier session recorded."""
        while self.position < count and next(self._rows, None) is not None:
            self.position += 1

    def batch(self) -> list[Shaped]:
        """The next rows, with limits of rows, people and characters. Empty at the end. Raises FileBroken after the last
        readable row."""
        if self._broken is not None:
            raise self._broken
        found: list[Shaped] = []
        weight = size = 0
        try:
            for shaped in self._rows:
                found.append(shaped)
                weight += _people(shaped)
                size += _chars(shaped)
                if len(found) >= BATCH_ROWS or weight >= BATCH_WEIGHT_MAX or size >= BATCH_CHARS_MAX:
                    break
        except FileBroken as broken:
            if not found:
                raise
            self._broken = broken
        return found

    def give_up_if_hopeless(self) -> None:
        """Stop an import that cannot succeed: raise FileBroken if the file has too many rows, or almost all rows are
        rejected because its mapping is wrong."""
        if self.position >= self._limits.rows_max:
            raise FileBroken("too_many_rows", rows_max=self._limits.rows_max)
        good = self.position - self.rejected
        if self.rejected >= GIVE_UP_FROM and good < GOOD_SHARE_MIN * self.position:
            raise FileBroken("too_many_rejects")

    @property
    def keeps_cells(self) -> bool:
        """Whether there is room to store the cells of further rejected rows."""
        return self.rejects_bytes < self._limits.rejects_bytes_max

    @property
    def bytes_read(self) -> int:
        return self._raw.tell()

    @property
    def headers(self) -> bytes:
        """The column names of all tables that were read so far, as JSON, sealed."""
        return vault().seal(_encode(self.stream.headers), f"import/{self.import_id}/headers".encode())

    def close(self) -> None:
        self._rows = iter(())
        self._file.close()


def _people(shaped: Shaped) -> int:
    """The number of persons in a row: its person, and each member whom its event names."""
    return 1 + len(shaped.read.members) if isinstance(shaped.read, Pushed) else 1


def _chars(shaped: Shaped) -> int:
    """The size of a row in memory: the bytes of its event and the characters of its cells."""
    body = shaped.read.kept if isinstance(shaped.read, Pushed) else shaped.read.body
    return len(body) + chars_of(shaped.row.cells)
