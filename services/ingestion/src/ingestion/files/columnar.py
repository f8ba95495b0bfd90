"""Parquet, a thousand rows at a time."""

from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any, Final

from ingestion.files.spool import ImportSettings
from ingestion.files.table import COLUMNS_MAX, BadCell, FileBroken, Row, Table

BATCH_ROWS: Final = 1_000
CHUNK_BYTES_MAX: Final = 512 * 1024**2
_BROKEN: Final = (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError)


def open_parquet(file: IO[bytes]) -> Table:
    """The only table. Its first row is the names of its columns. Raises FileBroken."""
    import pyarrow as arrow  # type: ignore[import-untyped]  # sixty megabytes that most processes never need
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(file, buffer_size=64 * 1024, pre_buffer=False)
        _check(opened.metadata)
    except (arrow.ArrowException, *_BROKEN) as wrong:
        raise FileBroken("file_broken") from wrong
    return Table("", _rows(opened, arrow.ArrowException))


def _check(metadata: Any) -> None:
    if metadata.num_columns > COLUMNS_MAX:
        raise FileBroken("too_many_columns", columns_max=COLUMNS_MAX)
    total = 0
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            size = metadata.row_group(group).column(column).total_uncompressed_size
            total += size
            if size > CHUNK_BYTES_MAX or total > ImportSettings().unpacked_bytes_max:
                raise FileBroken("zip_bomb")


def _rows(opened: Any, broken: type[Exception]) -> Iterator[Row]:
    yield Row(1, list(opened.schema_arrow.names))
    place = 1
    try:
        for batch in opened.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            columns = [_cells(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                place += 1
                yield Row(place, cells)
    except (broken, *_BROKEN) as wrong:
        raise FileBroken("file_broken", row=place) from wrong


def _cells(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, ArithmeticError):  # one day beyond the calendar must not take a thousand rows with it
        values = [_cell(each) for each in column]
    return [str(v) if isinstance(v, Decimal) else v for v in values]


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, ArithmeticError):
        return BadCell("cell_error", "")
