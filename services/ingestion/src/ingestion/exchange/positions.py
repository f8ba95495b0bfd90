"""Encodes and seals positions in the sort order of a table, and computes where the next run begins.

A position is the tuple of a row's values in the watermark and key columns. The values keep their types. Positions are
stored sealed, because a key may be an ID number.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import MINYEAR, UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from common.calendar import SHANGHAI
from shell.privacy import vault

from ingestion.exchange.feeds import FeedBroken, Watermark

Position = tuple[Any, ...]


def sealed(position: Position, context: str) -> bytes:
    """Encrypt a position; empty for no position. `opened` needs the same `context`."""
    return vault().seal(encoded(position), context.encode()) if position else b""


def opened(stored: bytes, context: str) -> Position:
    return decoded(vault().open(stored, context.encode())) if stored else ()


def encoded(position: Sequence[Any]) -> bytes:
    """Encode a position as JSON, with the type of each value. Raises FeedBroken for a type without an order."""
    return msgspec.json.encode([_with_type(value) for value in position])


def decoded(stored: bytes) -> Position:
    typed = msgspec.json.decode(stored, type=list[tuple[str, Any]])
    return tuple(_restored(type_name, value) for type_name, value in typed)


def _with_type(value: Any) -> tuple[str, Any]:
    match value:
        case None | bool() | str():
            return "", value
        case int():
            return "int", str(value)  # of any size
        case Decimal():
            return "decimal", str(value)
        case float():
            return "float", repr(value)
        case datetime():
            return "datetime", value.isoformat()
        case date():
            return "date", value.isoformat()
        case bytes():
            return "bytes", b64encode(value).decode()
    raise FeedBroken("order_unusable", type=type(value).__name__)


def _restored(type_name: str, value: Any) -> Any:
    match type_name:
        case "int":
            return int(value)
        case "decimal":
            return Decimal(value)
        case "float":
            return float(value)
        case "datetime":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case "bytes":
            return b64decode(value)
    return value


# ── the watermark ───────────────────────────────────────────────────────────────────────────────────────────


def instant_of(value: Any, watermark: Watermark) -> datetime | None:
    """The instant of a change, in UTC. None if the watermark is a number.

    Raises FeedBroken for a value that is no instant, lies outside the calendar in UTC, or lies in the year 1, where the
    start of the next run might not exist."""
    if watermark.kind == "number":
        return None
    moment: datetime
    match value:
        case str():
            moment = _parsed(value.strip(), watermark)
        case datetime():
            moment = value
        case date():
            moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the offset is added below
        case _:
            raise _unreadable(watermark)
    try:
        found = (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).astimezone(UTC)
    except OverflowError:
        raise _unreadable(watermark) from None
    if found.year == MINYEAR:
        raise _unreadable(watermark)
    return found


def _parsed(text: str, watermark: Watermark) -> datetime:
    try:
        return datetime.strptime(text, watermark.format)  # noqa: DTZ007 - the caller adds the offset
    except ValueError:
        raise _unreadable(watermark) from None


def _unreadable(watermark: Watermark) -> FeedBroken:
    return FeedBroken("watermark_unreadable", column=watermark.columns[0], format=watermark.format)


def kept_newest(value: Any, watermark: Watermark, now: datetime) -> Any:
    """The watermark of the newest change, as it is stored; None for an unreadable value.

    An instant in the future becomes `now`, so that one wrong clock does not hide all later changes."""
    if watermark.kind == "number":
        return value if isinstance(value, int | Decimal | float) else None
    try:
        instant = instant_of(value, watermark)
    except FeedBroken:
        return None
    assert instant is not None
    return value if instant <= now else _like(value, now, watermark)


def start_of(newest: Any, watermark: Watermark) -> Any:
    """The first value that the next run reads: the overlap before the newest change."""
    if newest is None:
        return None
    if watermark.kind == "number":
        return newest - watermark.overlap
    instant = instant_of(newest, watermark)
    assert instant is not None
    return _like(newest, instant - timedelta(seconds=watermark.overlap), watermark)


def _like(example: Any, instant: datetime, watermark: Watermark) -> Any:
    """The instant in the type and the format of the column."""
    local = instant.astimezone(SHANGHAI)
    if isinstance(example, str):
        return local.strftime(watermark.format)
    if not isinstance(example, datetime):
        return local.date()
    return instant.astimezone(example.tzinfo) if example.tzinfo else local.replace(tzinfo=None)
