"""Read records with a header whose name is not UTF-8.

The broker accepts such a name, for example one in GBK. aiokafka then raises UnicodeDecodeError in every fetch, and no
partition of the client is read any more. `install` gives aiokafka a reader that replaces the wrong bytes by U+FFFD.
"""

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT: Final = 8  # bytes before the length of a batch; the length counts the bytes after itself
_OVERHEAD: Final = 12


class LenientRecords:
    """The batches of one answer of the broker, like `MemoryRecords` of aiokafka."""

    def __init__(self, content: bytes) -> None:
        self._records = MemoryRecords(content)
        self._content = content
        self._position = 0

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """Return the next batch. Raises CorruptRecordException for a batch that is too short."""
        batch, start = self._records.next_batch(), self._position
        self._position += _OVERHEAD + unpack_from(">i", self._content, start + _LENGTH_AT)[0]
        return _Batch(batch, memoryview(self._content)[start : self._position])


class _Batch:
    """A batch whose records aiokafka's compiled reader decodes. `content`: its bytes, for the lenient reader."""

    def __init__(self, batch: Any, content: memoryview) -> None:
        self._batch = batch
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        done = 0
        try:
            for record in self._batch:
                yield record
                done += 1
        except UnicodeDecodeError:
            yield from islice(_LenientBatch(self._content), done, None)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """aiokafka's reader in plain Python, with lenient names of headers."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Bytes whose slices decode with replacements. The reader decodes nothing but the names of headers."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Bytes(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def install() -> None:
    """Let every consumer of this process read leniently. Repeated calls are harmless."""
    fetcher.MemoryRecords = LenientRecords
