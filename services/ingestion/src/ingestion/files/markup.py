"""XML from senders that we do not trust, read as a stream."""

from collections.abc import Iterator
from typing import IO, Any, Final
from xml.parsers import expat

from ingestion.files.table import FileBroken

CHUNK_BYTES: Final = 64 * 1024
SLICE_BYTES: Final = 4 * 1024  # what a few bytes can stand for, such as shared text, adds up within one slice only
TOKEN_BYTES_MAX: Final = 512 * 1024


def local(tag: str) -> str:
    """The name without its prefix."""
    return tag.rpartition(":")[2]


def new_parser() -> Any:
    """An XML parser that refuses documents with declarations of their own, since those can be entity bombs."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise FileBroken("file_broken")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def parse(parser: Any, part: IO[bytes]) -> Iterator[None]:
    """Parse a part slice by slice, and yield after each. The parser holds one tag or comment at a time, so a very
    long one raises FileBroken."""
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
