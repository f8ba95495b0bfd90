"""contracts/topics.yaml: the one list of topics, for those who create them and those who check them."""

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from common.settings import repository_root


class PaceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    consumers: list[str]
    ahead_max: int


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    owner: str
    key: str
    cleanup: Literal["delete", "compact"]
    retention_hours: int | None = None
    partitions: int = 12
    local_partitions: int = 4
    events: list[str] = []
    pace: PaceRule | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topics: list[Topic]


def load_topics(path: Path | None = None) -> list[Topic]:
    """Every topic that exists from the start. Provider topics are created when a provider subscribes."""
    path = path or repository_root() / "contracts" / "topics.yaml"
    return msgspec.yaml.decode(path.read_bytes(), type=_File).topics


@cache
def compacted_topics() -> frozenset[str]:
    """The topics that keep the newest record per key for ever; every other topic keeps all records for a time."""
    return frozenset(topic.name for topic in load_topics() if topic.cleanup == "compact")
