"""Encode the content of a list as JSON, and compute the digests that identify a list and a set of lists."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from rules.deciding.lists import Lists
from rules.form.policy import PolicyList

K = TypeVar("K")
V = TypeVar("V")
decode_list = msgspec.json.Decoder(PolicyList).decode


class ListSet(NamedTuple):
    """All lists that are in force together, with the declared coverage.

    `digest` identifies lists and coverage by their content. `versions`: version by area.
    """

    digest: str
    versions: dict[str, str]
    lists: Lists

    def list_of(self, area: str) -> PolicyList:
        """Return the list of an area; an empty list if the area has none."""
        return self.lists.by_area.get(area) or PolicyList(jurisdiction=area)


def encode_list(policy_list: PolicyList) -> bytes:
    """Return the JSON of a list. Equal lists have equal JSON."""
    return msgspec.json.encode(policy_list, order="deterministic")


def content_version(policy_list: PolicyList) -> str:
    """Return the version of a list: 32 hexadecimal digits of the digest of its content."""
    return _digest(encode_list(policy_list), 32)


def set_digest(versions: Mapping[str, str], declared: Mapping[str, Any]) -> str:
    """Return the digest of a set of lists. `versions`: by area. `declared`: coverage entries by division."""
    coverage = {"coverage": declared} if declared else {}
    return parts_digest({**versions, **coverage})


def parts_digest(parts: Mapping[str, Any]) -> str:
    """Return the digest of named parts: 16 hexadecimal digits. The order of the parts does not matter."""
    return _digest(msgspec.json.encode(parts, order="sorted"), 16)


def _digest(content: bytes, digits: int) -> str:
    return hashlib.sha256(content).hexdigest()[:digits]


def keep(kept: dict[K, V], key: K, value: V, most: int) -> V:
    """Cache a value and return it. Remove the oldest values, so that `kept` has at most `most` values."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value
    return value
