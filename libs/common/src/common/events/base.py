"""The base of all events. An event is one complete fact in the past tense, mostly about one person. Others are about a
policy area, a division, a source, a task or a parked record.

A *state* event holds the whole current state of its key, on a compacted topic. A newer version supersedes an older one,
so a receiver compares versions. Of every other event, a receiver stores the id in its inbox and handles it once.

Events contain no reference cycles, so the garbage collector ignores them (`gc=False`).
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec

# An instant on the wire has its offset. A value without one is rejected.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

TYPE_PREFIX = "cn.eldercare"


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every event on an internal topic. Ids are UUID strings; instants are in UTC."""

    topic: ClassVar[str]
    state: ClassVar[bool] = False

    def key(self) -> str:
        """The partition key: events of one key keep their order. By default the person."""
        return str(getattr(self, "person_id"))  # noqa: B009 - declared by every person event

    @classmethod
    def wire_type(cls) -> str:
        return f"{TYPE_PREFIX}.{cls.topic.partition('.')[0]}.v1.{cls.__name__}"


_BY_TYPE: dict[str, type[Event]] = {}


def register(*classes: type[Event]) -> None:
    """Make the classes known by their wire types."""
    for cls in classes:
        _BY_TYPE[cls.wire_type()] = cls


def by_type(wire_type: str) -> type[Event] | None:
    """The class of a CloudEvents `type`; None if this version does not know it."""
    return _BY_TYPE.get(wire_type)


def all_events() -> dict[str, type[Event]]:
    """All event classes by wire type."""
    return dict(_BY_TYPE)


_decoders: dict[type[Event], msgspec.json.Decoder[Any]] = {}


def decoder(cls: type[Event]) -> msgspec.json.Decoder[Any]:
    """The JSON decoder of an event class, made once."""
    found = _decoders.get(cls)
    if found is None:
        found = _decoders[cls] = msgspec.json.Decoder(cls)
    return found
