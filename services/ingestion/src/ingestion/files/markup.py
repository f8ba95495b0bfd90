"""Reads XML from untrusted senders as a stream."""

from collections.abc import Iterator
from typing import IO, Any, Final
from xml.parsers import expat

from ingestion.files.domain.table import FileBroken

CHUNK_BYTES: Final = 64 * 1024
SLICE_BYTES: Final = 4 * 1024  # small: the shared text of all cells in a slice is in memory at once
TOKEN_BYTES_MAX: Final = 512 * 1024


def local(tag: str) -> str:
    """The name without its namespace prefix."""
    return tag.rpartition(":")[2]


def new_parser() -> Any:
    """Create an XML parser. It raises FileBroken for a document type declaration, because that may define an entity
    bomb."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def reject(*_: Any) -> None:
        raise FileBroken("file_broken")

    parser.StartDoctypeDeclHandler = reject
    return parser


def parse(parser: Any, part: IO[bytes]) -> Iterator[None]:
    """Parse an XML document from a stream, and yield after each slice, so that the caller can take the results.

    The parser holds a whole tag or comment in memory, so a very long one raises FileBroken."""
    fed = 0
    while chunk := part.read(CHUNK_BYTES):
        for at in range(0, len(chunk), SLICE_BYTES):
            piece = chunk[at : at + SLICE_BYTES]
            parser.Parse(piece, False)
            fed += len(piece)
            if fed - parser.CurrentByteIndex > TOKEN_BYTES_MAX:
                raise FileBroken("zip_bomb")
            yield
    parser.Parse(b"", True)
    yield
