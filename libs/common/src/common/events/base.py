"""What every event is: one fact about one person (or one policy area), complete, in the past tense.

A *state* event carries the whole present state of its key and lives on a compacted topic: a newer one
supersedes an older one, so it is guarded by its version. Any other event is claimed once in the inbox.

Events hold no cycles, so the garbage collector need not follow them (`gc=False`).
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec

# An instant on the wire always has its offset; what lacks one is refused.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

TYPE_PREFIX = "cn.eldercare"


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of everything that travels on an internal topic. Ids are UUID strings, instants aware UTC."""

    topic: ClassVar[str]
    state: ClassVar[bool] = False

    def key(self) -> str:
        """Partition key: what must stay in order. The person, unless an event says otherwise."""
        return str(getattr(self, "person_id"))  # noqa: B009 - declared by every person event

    @classmethod
    def wire_type(cls) -> str:
        return f"{TYPE_PREFIX}.{cls.topic.partition('.')[0]}.v1.{cls.__name__}"


_BY_TYPE: dict[str, type[Event]] = {}


def register(*classes: type[Event]) -> None:
    for cls in classes:
        _BY_TYPE[cls.wire_type()] = cls


def by_type(wire_type: str) -> type[Event] | None:
    """The class behind a CloudEvents `type`, or None when this version does not know it."""
    return _BY_TYPE.get(wire_type)


def all_events() -> dict[str, type[Event]]:
    return dict(_BY_TYPE)


_decoders: dict[type[Event], msgspec.json.Decoder[Any]] = {}


def decoder(cls: type[Event]) -> msgspec.json.Decoder[Any]:
    found = _decoders.get(cls)
    if found is None:
        found = _decoders[cls] = msgspec.json.Decoder(cls)
    return found
