"""Splits the bytes of a request or a record into the bytes of its events. It validates no event."""

import re
from typing import Any, Final

import msgspec

_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "time", "subject")
_BRACKETS_MAX: Final = 500_000
# A string without an end is one token, too: the search does not begin again at each of its quotes.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{},]', re.DOTALL)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class Unreadable(Exception):
    """The body cannot be split into events. `offset`: the first bad byte, if it is known."""

    def __init__(self, code: str, offset: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.offset = offset


def need_utf8(body: bytes) -> None:
    """Raises Unreadable with the offset of the first byte that is not UTF-8."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Unreadable("not_utf8", error.start) from None


def split_batch(body: bytes) -> list[bytes | msgspec.Raw]:
    """The bytes of each event of a JSON array. Raises Unreadable."""
    need_utf8(body)
    try:
        return list(_raws.decode(body))
    except RecursionError:
        return list(_split_deep(body))
    except msgspec.DecodeError as error:
        raise Unreadable("not_json", _offset(error)) from None


def _split_deep(body: bytes) -> list[bytes]:
    """Split a JSON array by counting brackets, so that one event of extreme depth does not make its batch unreadable.

    Raises Unreadable."""
    if _count_brackets(body) > _BRACKETS_MAX or not body.lstrip().startswith(b"["):
        raise Unreadable("too_deep")
    parts, depth, start = [], 0, 0
    for token in _TOKEN.finditer(body):
        mark = token.group()[:1]
        if mark in b"[{":
            depth += 1
            start = token.end() if depth == 1 else start
        elif mark == b"," and depth == 1:
            parts.append(body[start : token.start()])
            start = token.end()
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                return [*parts, _last_part(body, start, token)]
    raise Unreadable("not_json", len(body))


def _last_part(body: bytes, start: int, end: re.Match[bytes]) -> bytes:
    """The last event of an array. `end`: the bracket that closes the array. Raises Unreadable if more text follows."""
    if body[end.end() :].strip():
        raise Unreadable("not_json", end.end())
    return body[start : end.start()]


def _count_brackets(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def _offset(error: msgspec.DecodeError) -> int | None:
    found = re.search(r"byte (\d+)", str(error))
    return int(found[1]) if found else None


def need_json(body: bytes) -> None:
    """Raises Unreadable unless the body is one JSON text in UTF-8 that is not too deep."""
    need_utf8(body)
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except msgspec.DecodeError as error:
        raise Unreadable("not_json", _offset(error)) from None


def structured(attributes: dict[str, str], data: bytes) -> bytes:
    """Convert a binary-mode event to structured form. Extension attributes are dropped."""
    head: dict[str, Any] = {name: attributes[name] for name in _ATTRIBUTES if name in attributes}
    return msgspec.json.encode(head | {"data": msgspec.Raw(data)})
