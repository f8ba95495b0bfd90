"""Load the list of all topics (contracts/topics.yaml), and map sources to their topics.

Population events arrive on the shared topic `population.inbound` and on one topic per source. The name follows from
the source: `urn:cn:exchange:530300:psb` sends on `population.inbound.530300.psb`.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec
from common.patterns import AREA, OFFICE

from shell.settings import repository_root

INBOUND: Final = "population.inbound"
_SOURCE: Final = re.compile(f"urn:cn:exchange:({AREA}):({OFFICE})")
_SOURCE_TOPIC: Final = re.compile(rf"{re.escape(INBOUND)}\.({AREA})\.({OFFICE})")


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
    readers: list[str] = []
    pace: PaceRule | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topics: list[Topic]
    source_topic: Topic


def load_topics(path: Path | None = None) -> list[Topic]:
    """Return every topic that exists from the start. Topics of providers and sources are created at run time."""
    return _load(path).topics


def load_source_topic(source: str | None = None, path: Path | None = None) -> Topic:
    """Return the topic of a source; without `source`, the template of all source topics. Raises ValueError if `source`
    is no URN of a source."""
    pattern = _load(path).source_topic
    return pattern if source is None else msgspec.structs.replace(pattern, name=inbound_topic(source))


def _load(path: Path | None) -> _File:
    path = path or repository_root() / "contracts" / "topics.yaml"
    return msgspec.yaml.decode(path.read_bytes(), type=_File)


@lru_cache(maxsize=1)
def compacted_topics() -> frozenset[str]:
    """The topics that keep the newest record per key for ever. Other topics keep all records for a limited time."""
    return frozenset(topic.name for topic in load_topics() if topic.cleanup == "compact")


def inbound_topic(source: str) -> str:
    """The name of a source's own topic. Raises ValueError if `source` is no URN of a source."""
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise ValueError("not the URN of a source")
    return f"{INBOUND}.{found[1]}.{found[2]}"


@lru_cache(maxsize=4_096)
def source_of_topic(topic: str) -> str | None:
    """The URN of the source whose own topic has this name; None for any other name."""
    found = _SOURCE_TOPIC.fullmatch(topic)
    return f"urn:cn:exchange:{found[1]}:{found[2]}" if found else None


def is_inbound(topic: str) -> bool:
    """Whether sources write to this topic. It holds personal data, and only ingestion reads it."""
    return topic == INBOUND or topic.startswith(f"{INBOUND}.")
