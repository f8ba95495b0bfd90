"""Stores the shared texts of an XLSX workbook in a sealed file. Cells name these texts by number."""

import io
import struct
import zipfile
from array import array
from collections.abc import Callable
from typing import IO, Final

from ingestion.files.domain.table import ROW_CHARS_MAX, FileBroken
from ingestion.files.markup import local, new_parser, parse
from ingestion.files.spool import FRAME_BYTES, SealedReader, SealedWriter, forget

STRINGS_MAX: Final = 8_000_000
_STRINGS_PER_START: Final = 8
_LENGTH: Final = struct.Struct("<I")


class SharedStrings:
    """A sealed file of strings. Only the position of every eighth string is in memory. `name`: of the part in the
    archive; None for a workbook without shared text."""

    def __init__(self, archive: zipfile.ZipFile, name: str | None) -> None:
        self._starts = array("Q")
        self._count = 0
        writer = SealedWriter()
        self._spool = writer.spool
        try:
            if name is not None:
                with archive.open(name) as part:
                    _read_strings(part, lambda text: self._add(writer, text))
            writer.finish()
        except BaseException:
            writer.discard()
            raise
        self._file = io.BufferedReader(SealedReader(writer.spool, writer.size), FRAME_BYTES)

    def _add(self, writer: SealedWriter, text: str) -> None:
        if self._count >= STRINGS_MAX:
            raise FileBroken("zip_bomb")
        if self._count % _STRINGS_PER_START == 0:
            self._starts.append(writer.size)
        data = text.encode("utf-8", "replace")
        writer.write(_LENGTH.pack(len(data)) + data)
        self._count += 1

    def get(self, number: int) -> str:
        """Return the text with this number, counted from 0. Raises IndexError if there is none."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        block, skipped = divmod(number, _STRINGS_PER_START)
        self._file.seek(self._starts[block])
        for _ in range(skipped):
            self._file.seek(self._length(), io.SEEK_CUR)
        return self._file.read(self._length()).decode()

    def _length(self) -> int:
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return int(length)

    def close(self) -> None:
        self._file.close()
        forget(self._spool)


def _read_strings(part: IO[bytes], add: Callable[[str], None]) -> None:
    reader = _StringReader(add)
    for _ in parse(reader.parser, part):
        pass


class _StringReader:
    """Calls `add` with the text of every `<si>` element that `parser` reads, without its pronunciation (`rPh`)."""

    def __init__(self, add: Callable[[str], None]) -> None:
        self.parser = new_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._add = add
        self._parts: list[str] = []
        self._size = 0
        self._depth = {"rPh": 0, "t": 0}

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if (name := local(tag)) in self._depth:
            self._depth[name] += 1

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name in self._depth:
            self._depth[name] -= 1
        elif name == "si":
            self._add("".join(self._parts))
            self._parts.clear()
            self._size = 0

    def _text(self, data: str) -> None:
        if self._depth["t"] and not self._depth["rPh"] and self._size <= ROW_CHARS_MAX:
            self._parts.append(data)
            self._size += len(data)
