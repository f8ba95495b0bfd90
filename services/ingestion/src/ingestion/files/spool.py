"""Keeps uploaded files on disk, in a folder called the spool. They are sealed, because they contain names and ID
numbers.

A sealed file is a sequence of frames of FRAME_BYTES. Each frame is sealed with its number and the name of the file. So
a file can be written as a stream and read at any position, and frames cannot be reordered or exchanged.
"""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from shell.privacy import SealBroken, vault
from shell.settings import paths

from ingestion.settings import ImportSettings

FRAME_BYTES: Final = 64 * 1024
_FRAMES_KEPT: Final = 8
_HEAD_BYTES: Final = 5
_NONCE_AND_TAG: Final = 28
_CHECK_EVERY_BYTES: Final = 16 * 1024**2


def spool_folder() -> Path:
    """Return the folder of the spool in the home of the service; create it if it is missing.

    Only the owner of the folder has access. Replicas that share imports must share this folder."""
    folder = paths().home_folder / "spool"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def path_of(spool: str) -> Path:
    return spool_folder() / f"{spool}.sealed"


class SpoolFull(OSError):
    """The disk has too little free space. A later attempt may succeed."""


def need_room(bytes_: int = 0) -> None:
    """Raises SpoolFull unless `disk_free_bytes_min` remain free after writing `bytes_` more."""
    if shutil.disk_usage(spool_folder()).free < bytes_ + ImportSettings().disk_free_bytes_min:
        raise SpoolFull("the disk of the spool is full")


class SealedWriter:
    """Writes a new file in order. `spool`: its name. The file is durable after `finish`. Opening and writing raise
    SpoolFull."""

    def __init__(self, spool: str | None = None) -> None:
        need_room()
        self.spool = spool or str(uuid4())
        self.size = 0
        self._checked_at = 0
        self._frame = 0
        self._pending = bytearray()
        self._file = os.fdopen(os.open(path_of(self.spool), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size - self._checked_at >= _CHECK_EVERY_BYTES:
            need_room()
            self._checked_at = self.size
        self._pending += data
        while len(self._pending) >= FRAME_BYTES:
            self._put(bytes(self._pending[:FRAME_BYTES]))
            del self._pending[:FRAME_BYTES]

    def finish(self) -> None:
        if self._pending:
            self._put(bytes(self._pending))
            self._pending.clear()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        self._file.close()
        forget(self.spool)

    def _put(self, plain: bytes) -> None:
        self._file.write(vault().seal(plain, _context(self.spool, self._frame)))
        self._frame += 1


def _overhead_bytes(head: bytes) -> int:
    """Bytes that the seal adds to each frame. Byte 4 of the head is the length of the name of the key."""
    return (_HEAD_BYTES + head[4] if len(head) == _HEAD_BYTES else 0) + _NONCE_AND_TAG


def _context(spool: str, frame: int) -> bytes:
    return f"spool/{spool}/{frame}".encode()


class SealedReader(io.RawIOBase):
    """The plain bytes of a sealed file. It is seekable and keeps a few frames in memory. Raises FileNotFoundError, and
    OSError if the file has not `size` bytes or was changed."""

    def __init__(self, spool: str, size: int) -> None:
        self._spool = spool
        self._size = size
        self._at = 0
        self._frames: dict[int, bytes] = {}
        self._file = path_of(spool).open("rb")
        overhead = _overhead_bytes(self._file.read(_HEAD_BYTES))
        self._step = FRAME_BYTES + overhead
        frames = -(-size // FRAME_BYTES)
        if os.fstat(self._file.fileno()).st_size != size + frames * overhead:
            self._file.close()
            raise OSError("the spooled file is not whole")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, within = divmod(self._at, FRAME_BYTES)
        part = self._frame(number)[within : within + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _frame(self, number: int) -> bytes:
        found = self._frames.get(number)
        if found is None:
            found = self._open_frame(number)
            while len(self._frames) >= _FRAMES_KEPT:
                del self._frames[next(iter(self._frames))]
            self._frames[number] = found
        return found

    def _open_frame(self, number: int) -> bytes:
        self._file.seek(number * self._step)
        try:
            return vault().open(self._file.read(self._step), _context(self._spool, number))
        except SealBroken as wrong:
            raise OSError("the spooled file was changed") from wrong


def forget(spool: str) -> None:
    """Delete a spooled file, if it exists."""
    path_of(spool).unlink(missing_ok=True)


def spooled(older_than: float) -> Iterator[str]:
    """Names of spooled files that were last written before `older_than` (seconds since the epoch)."""
    for path in spool_folder().glob("*.sealed"):
        try:
            if path.stat().st_mtime < older_than:
                yield path.stem
        except FileNotFoundError:
            continue
