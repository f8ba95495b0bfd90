"""Places in the order of a table: kept sealed, since a key may be an ID number, and put back as they came."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from common.calendar import SHANGHAI
from shell.privacy import vault

from ingestion.exchange.feeds import FeedBroken, Watermark

Place = tuple[Any, ...]


def sealed(place: Place, context: str) -> bytes:
    return vault().seal(encoded(place), context.encode()) if place else b""


def opened(kept: bytes, context: str) -> Place:
    return decoded(vault().open(kept, context.encode())) if kept else ()


def encoded(place: Sequence[Any]) -> bytes:
    return msgspec.json.encode([_told(value) for value in place])


def decoded(kept: bytes) -> Place:
    return tuple(_read(kind, value) for kind, value in msgspec.json.decode(kept, type=list[tuple[str, Any]]))


def _told(value: Any) -> tuple[str, Any]:
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


def _read(kind: str, value: Any) -> Any:
    match kind:
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
    """When a change was written, in UTC. None for a number. Raises FeedBroken for what is no instant."""
    if watermark.kind == "number":
        return None
    moment: datetime
    if isinstance(value, str):
        try:
            moment = datetime.strptime(value.strip(), watermark.format)  # noqa: DTZ007 - the place is put in below
        except ValueError:
            raise FeedBroken("watermark_unreadable", column=watermark.columns[0], format=watermark.format) from None
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the place is put in below
    else:
        raise FeedBroken("watermark_unreadable", column=watermark.columns[0], format=watermark.format)
    return (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).astimezone(UTC)


def kept_newest(value: Any, watermark: Watermark, now: datetime) -> Any:
    """What is remembered as the newest change: never a moment that has not come, for a single wrong clock would hide
    all that follows. None for what cannot be read."""
    if watermark.kind == "number":
        return value if isinstance(value, int | Decimal | float) else None
    try:
        instant = instant_of(value, watermark)
    except FeedBroken:
        return None
    assert instant is not None
    return value if instant <= now else _like(value, now, watermark)


def start_of(newest: Any, watermark: Watermark) -> Any:
    """The value from which the next run reads: the overlap before the newest change."""
    if newest is None:
        return None
    if watermark.kind == "number":
        return newest - watermark.overlap
    instant = instant_of(newest, watermark)
    assert instant is not None
    return _like(newest, instant - timedelta(seconds=watermark.overlap), watermark)


def _like(example: Any, instant: datetime, watermark: Watermark) -> Any:
    """The instant written as the column writes it."""
    local = instant.astimezone(SHANGHAI)
    if isinstance(example, str):
        return local.strftime(watermark.format)
    if not isinstance(example, datetime):
        return local.date()
    return instant.astimezone(example.tzinfo) if example.tzinfo else local.replace(tzinfo=None)
