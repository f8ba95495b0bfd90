"""Checks of single records: decisions cite their grounds, and providers' topics hold only their own tasks."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from common.events import Entitlement, EntitlementsDecided, decoder

from shouwang.invariants.report import Line

_PROVIDER: Final = re.compile(r"dispatch\.provider\.([0-9A-Z]{18})(\.replies)?")
_decided = decoder(EntitlementsDecided)


class _ToProvider(msgspec.Struct):
    provider: str
    task_id: str
    person_id: str | None = None


_to_provider = msgspec.json.Decoder(_ToProvider)


class Grounds:
    """Checks that every entitlement cites its list, and a granted one also its facts."""

    def __init__(self) -> None:
        self.line = Line("every decision cites its clause and its facts")

    def check(self, record: Any) -> None:
        if record.topic != EntitlementsDecided.topic or record.value is None:
            return
        event = _decided.decode(record.value)
        for held in event.entitlements:
            self.line.count += 1
            if _groundless(held):
                self.line.fault(f"{event.person_id} version {event.version}: {held.item} from {held.from_}")


def _groundless(held: Entitlement) -> bool:
    return not held.policy or (held.state == "granted" and not held.facts)


class Providers:
    """Checks that a provider's topic holds only tasks of that provider, and no person id."""

    def __init__(self) -> None:
        self.line = Line("providers' topics hold their own tasks only")

    def check(self, record: Any) -> None:
        topic = _PROVIDER.fullmatch(record.topic)
        if topic is None or topic[2] is not None or record.value is None:
            return
        self.line.count += 1
        fault = _fault(record.value, topic[1])
        if fault is not None:
            self.line.fault(f"{record.topic}@{record.offset}: {fault}")


def _fault(value: bytes, provider: str) -> str | None:
    """The fault of a message on the topic of a provider, None if there is none."""
    try:
        message = _to_provider.decode(value)
    except msgspec.MsgspecError:
        return "not a message to a provider"
    if message.provider != provider or message.person_id is not None:
        return f"task {message.task_id} of {message.provider}"
    return None
