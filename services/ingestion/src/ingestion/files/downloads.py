"""Builds HTTP answers that a browser saves as a file."""

from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import StreamingResponse

BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


def csv_file(parts: AsyncIterator[bytes], name: str) -> StreamingResponse:
    return _file(parts, f"{name}.csv", "text/csv; charset=utf-8")


def ndjson_file(parts: AsyncIterator[bytes], name: str) -> StreamingResponse:
    return _file(parts, f"{name}.ndjson", "application/x-ndjson")


def _file(parts: AsyncIterator[bytes], name: str, media_type: str) -> StreamingResponse:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(parts, media_type=media_type, headers=headers)
