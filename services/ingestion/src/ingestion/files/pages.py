"""Measures the unpacked sizes of the pages of a Parquet file.

The footer of a file may be false, and pyarrow allocates the size in the header of a page. Therefore the headers of all
pages are read before any page is unpacked. A header is a struct in the compact protocol of Thrift.
"""

from typing import IO, Any, Final, NamedTuple

from ingestion.files.domain.table import FileBroken

PAGE_BYTES_MAX: Final = 16 * 1024**2
PAGES_MAX: Final = 500_000
_HEADER_BYTES: Final = (1024, 64 * 1024)
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DICTIONARY_CODED: Final = (2, 8)
_DELTA_LENGTH_BYTE_ARRAY, _DELTA_BYTE_ARRAY = 6, 7
_DEPTH_MAX: Final = 8


class Size(NamedTuple):
    """Sizes in bytes of one column in the whole file. `dictionary`, `page`: the largest dictionary and data page.
    `row`: the most bytes per row in one page without a dictionary. `is_coded`: some pages name entries of a dictionary.
    `is_delta`: some pages store lengths and text separately."""

    dictionary: int = 0
    page: int = 0
    row: int = 0
    is_coded: bool = False
    is_delta: bool = False

    def __or__(self, other: "Size") -> "Size":
        """The size with the larger value of each field."""
        return Size(
            max(self.dictionary, other.dictionary),
            max(self.page, other.page),
            max(self.row, other.row),
            self.is_coded or other.is_coded,
            self.is_delta or other.is_delta,
        )


class Measure:
    """Reads the page headers of column chunks, and counts the pages of the whole file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pages = 0

    def chunk(self, about: Any) -> Size:
        """Return the sizes of the pages of one column chunk. `about`: the ColumnChunkMetaData of pyarrow.

        Raises FileBroken for a page that is too large, or too many pages. Raises LookupError, ValueError or TypeError
        for a broken header; ArithmeticError, OSError or ValueError for a position that cannot be in the file."""
        start = _first_page(about)
        end, values, size = start + about.total_compressed_size, 0, Size()
        while start < end and values < about.num_values:
            self._count_page()
            header, length = self._header(start)
            unpacked, packed = _page_bytes(header)
            size |= _size(header, max(packed, unpacked))
            values += _values(header)
            start += length + packed
        return size

    def _count_page(self) -> None:
        self._pages += 1
        if self._pages > PAGES_MAX:
            raise FileBroken("pages_too_large", pages_max=PAGES_MAX)

    def _header(self, start: int) -> tuple[dict[int, Any], int]:
        """The fields of the page header at `start` by field number, and the length of the header in bytes."""
        for limit in _HEADER_BYTES:
            self._file.seek(start)
            data = self._file.read(limit)
            try:
                return _struct(data, 0, 0)
            except IndexError:
                if len(data) < limit or limit == _HEADER_BYTES[-1]:
                    raise
        raise IndexError(start)


def _first_page(about: Any) -> int:
    """The position of the dictionary page, if there is one before the data pages."""
    data: int = about.data_page_offset
    dictionary: int | None = about.dictionary_page_offset
    return dictionary if dictionary is not None and 0 < dictionary < data else data


def _page_bytes(header: dict[int, Any]) -> tuple[int, int]:
    """The unpacked and the packed size of a page in bytes. Raises FileBroken for a page that is too large."""
    unpacked, packed = int(header[2]), int(header[3])
    if min(packed, unpacked) < 0:
        raise ValueError("a page of negative size")
    if max(packed, unpacked) > PAGE_BYTES_MAX:
        raise FileBroken("pages_too_large", page_bytes_max=PAGE_BYTES_MAX)
    return unpacked, packed


def _values(header: dict[int, Any]) -> int:
    """The number of values of a data page, 0 for any other page. It equals its rows, because nested columns are not
    read."""
    about = {_DATA: 5, _DATA_V2: 8}.get(header[1])
    return int(header[about][1]) if about is not None else 0


def _size(header: dict[int, Any], bytes_: int) -> Size:
    if header[1] == _DICTIONARY:
        return Size(dictionary=bytes_)
    if header[1] not in (_DATA, _DATA_V2):
        return Size(page=bytes_)
    encoding = header[8][4] if header[1] == _DATA_V2 else header[5][2]
    if encoding in _DICTIONARY_CODED:
        return Size(page=bytes_, is_coded=True)
    is_delta = encoding in (_DELTA_BYTE_ARRAY, _DELTA_LENGTH_BYTE_ARRAY)
    return Size(page=bytes_, row=_row_bytes(header, encoding, bytes_), is_delta=is_delta)


def _row_bytes(header: dict[int, Any], encoding: int, bytes_: int) -> int:
    """The most bytes of one row in a page of `bytes_` bytes, as an average over the page where this is safe."""
    if encoding == _DELTA_BYTE_ARRAY:  # a value repeats the beginning of the last one: each may be as long as the page
        return bytes_
    return -(-bytes_ // max(_values(header), 1))


# ── Thrift, compact protocol ────────────────────────────────────────────────────────────────────────────────


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Read a struct at position `at`. Returns field number → value, and the position after the struct.

    Raises IndexError if the data ends too early. `depth`: the number of structs around this one."""
    if depth > _DEPTH_MAX:
        raise ValueError("nested too deep")
    found: dict[int, Any] = {}
    field = 0
    while data[at]:
        kind = data[at] & 15
        field, at = _field_number(data, at, field)
        found[field], at = _value(data, at, kind, depth)
    return found, at + 1


def _field_number(data: bytes, at: int, previous: int) -> tuple[int, int]:
    """Read a field number. Returns the number and the position after it.

    The upper 4 bits are the difference to the previous number. If they are 0, the number itself follows."""
    difference = data[at] >> 4
    if difference:
        return previous + difference, at + 1
    number, at = _varint(data, at + 1)
    return _zigzag(number), at


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """Read a value of a Thrift type. Returns the value, None for a double or bytes, and the position after it."""
    match kind:
        case 1 | 2:
            return kind == 1, at
        case 3:
            return data[at], at + 1
        case 4 | 5 | 6:
            number, at = _varint(data, at)
            return _zigzag(number), at
        case 7:
            return None, _within(data, at + 8)
        case 8:
            length, at = _varint(data, at)
            return None, _within(data, at + length)
        case 12:
            return _struct(data, at, depth + 1)
    raise ValueError("a type that no page header has")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length, 7 bits per byte. Returns the number and the position after it."""
    number = shift = 0
    while shift < 70:
        byte, at = data[at], at + 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    raise ValueError("a number without end")


def _zigzag(number: int) -> int:
    """The signed number for a number in zigzag form: 0, 1, 2, 3 mean 0, -1, 1, -2."""
    return (number >> 1) ^ -(number & 1)


def _within(data: bytes, at: int) -> int:
    """Return the position. Raises IndexError if it lies behind the end of the data."""
    if at > len(data):
        raise IndexError(at)
    return at
