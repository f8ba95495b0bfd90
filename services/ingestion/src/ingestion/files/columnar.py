"""Reads Parquet files in batches of bounded size.

A few bytes of Parquet can mean gigabytes: pages are compressed, and rows name entries of a dictionary. Therefore the
sizes of all pages are read first, text stays dictionary-encoded, and the sizes decide the rows of a batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from typing import IO, Any, Final, NamedTuple

from ingestion.files.domain.table import (
    CELL_CHARS_KEPT,
    COLUMNS_MAX,
    ROW_CHARS_MAX,
    BadCell,
    FileBroken,
    Row,
    Table,
    TooLong,
    bounded,
)
from ingestion.files.pages import Measure, Size
from ingestion.settings import ImportSettings

BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 2 * 1024**2
FOOTER_BYTES_MAX: Final = 4 * 1024**2
_CONTAINER_MAX: Final = 20_000  # entries of a list in the footer, such as row groups
_VALUE_BYTES_MAX: Final = 4 * ROW_CHARS_MAX  # a longer value has more characters than a row may have
_NUMBER_BYTES: Final = 16
_TAIL_BYTES: Final = 8
_BROKEN: Final = (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError)


class _Column(NamedTuple):
    """A column of the file. `leaf`: number of the stored column; None for lists and records, which are not read."""

    name: str
    leaf: int | None


def open_parquet(file: IO[bytes]) -> Table:
    """Return the only table of a Parquet file. Its first row has the names of its columns. Raises FileBroken."""
    import pyarrow as arrow  # type: ignore[import-untyped]  # 60 MB of memory: most processes never need it

    try:
        _check_footer(file)
        opened = _open(file, [])
        columns = _columns(opened)
        sizes = _sizes(file, opened, [column.leaf for column in columns if column.leaf is not None])
        with_dictionary = [leaf for leaf, size in sizes.items() if not size.is_delta]  # pyarrow has no delta pages here
        opened = _open(file, with_dictionary)
        rows = _batch_rows(opened, sizes)
    except (arrow.ArrowException, *_BROKEN) as wrong:
        raise FileBroken("file_broken") from wrong
    return Table("", _rows(opened, columns, rows, arrow.ArrowException))


def _check_footer(file: IO[bytes]) -> None:
    """Check the size of the footer, because pyarrow reads it into memory as a whole. Raises FileBroken."""
    file.seek(-_TAIL_BYTES, 2)
    tail = file.read(_TAIL_BYTES)
    if tail[4:] != b"PAR1":
        raise FileBroken("file_broken")
    if int.from_bytes(tail[:4], "little") > FOOTER_BYTES_MAX:
        raise FileBroken("zip_bomb")


def _open(file: IO[bytes], with_dictionary: Sequence[int]) -> Any:
    """Open the file as a `ParquetFile` of pyarrow. `with_dictionary`: text columns to keep dictionary-encoded."""
    from pyarrow import parquet

    file.seek(0)
    return parquet.ParquetFile(
        file,
        buffer_size=64 * 1024,
        pre_buffer=False,
        read_dictionary=list(with_dictionary),
        arrow_extensions_enabled=False,
        thrift_string_size_limit=FOOTER_BYTES_MAX,
        thrift_container_size_limit=_CONTAINER_MAX,
    )


def _columns(opened: Any) -> list[_Column]:
    schema = opened.schema_arrow
    if max(len(schema), opened.metadata.num_columns) > COLUMNS_MAX:
        raise FileBroken("too_many_columns", columns_max=COLUMNS_MAX)
    found = [_Column(field.name, leaf if field.type.num_fields == 0 else None) for leaf, field in _fields(schema)]
    if sum(_leaves(field.type) for field in schema) != opened.metadata.num_columns:
        raise ValueError("the schema does not fit the stored columns")
    return found


def _fields(schema: Any) -> Iterator[tuple[int, Any]]:
    """Yield each field of the schema as a pair: the number of its first stored column, and the field."""
    leaf = 0
    for field in schema:
        yield leaf, field
        leaf += _leaves(field.type)


def _leaves(kind: Any) -> int:
    """The number of stored columns of a type: a list or a record has one for each inner field."""
    if kind.num_fields == 0:
        return 1
    return sum(_leaves(kind.field(at).type) for at in range(kind.num_fields))


def _is_dictionary(kind: Any) -> bool:
    return hasattr(kind, "index_type")


def _sizes(file: IO[bytes], opened: Any, leaves: Sequence[int]) -> dict[int, Size]:
    """The largest sizes of each stored column. Raises FileBroken for a page that is too large, or a file that unpacks
    to too many bytes."""
    measure, metadata = Measure(file), opened.metadata
    sizes = dict.fromkeys(leaves, Size())
    unpacked = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for leaf in leaves:
            chunk = group.column(leaf)
            unpacked += chunk.total_uncompressed_size
            sizes[leaf] |= measure.chunk(chunk)
    if unpacked > ImportSettings().unpacked_bytes_max:
        raise FileBroken("zip_bomb")
    return sizes


def _batch_rows(opened: Any, sizes: dict[int, Size]) -> int:
    """The number of rows of a batch. Raises FileBroken if one row, or the open pages of all columns, need too much
    memory."""
    most = ImportSettings().pages_bytes_max
    kinds = dict(_fields(opened.schema_arrow))
    row = sum(_row_bytes(opened.schema.column(leaf), size, kinds[leaf].type) for leaf, size in sizes.items())
    if max(row, sum(size.page + size.dictionary for size in sizes.values())) > most:
        raise FileBroken("pages_too_large", pages_bytes_max=most)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(row, 1)))


def _row_bytes(stored: Any, size: Size, kind: Any) -> int:
    """The bytes of one row in a column, at most: the average of a page, for the page with the highest average. A text
    that names a dictionary entry may be as large as the whole dictionary."""
    if stored.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(stored.length)
    if stored.physical_type != "BYTE_ARRAY" or _is_dictionary(kind):
        return max(size.row, _NUMBER_BYTES)
    return max(size.row, size.dictionary if size.is_coded else 0, _NUMBER_BYTES)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(opened: Any, columns: Sequence[_Column], batch_rows: int, broken: type[Exception]) -> Iterator[Row]:
    """Yield the row of column names, then all rows. Raises FileBroken. `broken`: the base of pyarrow's exceptions."""
    yield Row(1, [column.name for column in columns])
    leaves = [column.leaf for column in columns if column.leaf is not None]
    groups = list(range(opened.metadata.num_row_groups))
    place = 1
    try:
        batches = opened.reader.iter_batches(batch_rows, row_groups=groups, column_indices=leaves, use_threads=False)
        for batch in batches:
            for row in zip(*_columns_of(batch, columns), strict=False):
                place += 1
                yield bounded(place, row)
    except (broken, *_BROKEN) as wrong:
        raise FileBroken("file_broken", row=place) from wrong


def _columns_of(batch: Any, columns: Sequence[_Column]) -> list[Iterable[Any]]:
    """The cells of a batch by column. A column of lists or records has a bad cell in every row."""
    nested = BadCell("cell_nested", "")
    found = iter([_cells(column) for column in batch.columns])
    return [next(found) if column.leaf is not None else repeat(nested, batch.num_rows) for column in columns]


def _cells(column: Any) -> list[Any]:
    """The cells of a column. Rows with one dictionary entry share one value."""
    if not _is_dictionary(column.type):
        return _values(column)
    at = column.indices.to_pylist()
    used = sorted({index for index in at if index is not None})
    values = dict(zip(used, _values(column.dictionary.take(_indices(used))), strict=True))
    return [values[index] if index is not None else None for index in at]


def _indices(used: Sequence[int]) -> Any:
    import pyarrow as arrow

    return arrow.array(used, arrow.int32())


def _values(column: Any) -> list[Any]:
    """The cells of a column that is not dictionary-encoded."""
    if _has_long_value(column):
        return [_cell(each) for each in column]
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, ArithmeticError):  # for example one date out of range: the other cells are still read
        values = [_cell(each) for each in column]
    return [str(v) if isinstance(v, Decimal) else v for v in values]


def _has_long_value(column: Any) -> bool:
    """Whether a value of the column is longer than _VALUE_BYTES_MAX. No value becomes a Python object."""
    from pyarrow import compute, types

    kind = column.type
    if types.is_fixed_size_binary(kind):
        return bool(kind.byte_width > _VALUE_BYTES_MAX)
    if not _is_of_any_length(kind):
        return False
    longest = compute.max(compute.binary_length(column)).as_py()
    return longest is not None and longest > _VALUE_BYTES_MAX


def _is_of_any_length(kind: Any) -> bool:
    from pyarrow import types

    checks = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(check(kind) for check in checks)


def _cell(scalar: Any) -> Any:
    """One value as a cell: `TooLong` if it has too many bytes, `BadCell` if Python cannot represent it."""
    if hasattr(scalar, "as_buffer") and scalar.is_valid:
        buffer = scalar.as_buffer()
        if buffer.size > _VALUE_BYTES_MAX:
            return TooLong(_beginning(buffer))
    try:
        value = scalar.as_py()
    except (ValueError, ArithmeticError):
        return BadCell("cell_error", "")
    return str(value) if isinstance(value, Decimal) else value


def _beginning(buffer: Any) -> str:
    """The first CELL_CHARS_KEPT characters of a text. A character has at most 4 bytes."""
    text: str = buffer[: 4 * CELL_CHARS_KEPT].to_pybytes().decode("utf-8", "replace")
    return text[:CELL_CHARS_KEPT]
