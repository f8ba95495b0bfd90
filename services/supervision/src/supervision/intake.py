"""Parse the raw records of all topics, and pass the events to the handlers of their types.

No event is claimed in the inbox, because a repeated event changes nothing. A row of the trace has its own key. States
have a version, tasks a time. Verdicts and alerts are compared with their stored rows.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import BadMessage
from common.events import all_events
from common.message import Record
from shell.store.parked import park
from shell.store.transaction import Tx

from supervision.domain.received import ReceivedEvent, parse_record

Handler = Callable[[Sequence[ReceivedEvent], Tx], Awaitable[None]]
OF_EVERY_SERVICE: Final = r"^[a-z_]+\.(parked|access)$"


def topics() -> list[str]:
    """Return the topics of all internal events, except those of providers.

    The last entry is a regular expression for the parked and access topics of every service.
    """
    known = {cls.topic for cls in all_events().values()}
    own = sorted(t for t in known if t not in ("parked", "access", "audit") and not t.startswith("dispatch.provider"))
    return [*own, OF_EVERY_SERVICE]


@dataclass(frozen=True, eq=False)
class Intake:
    """The handler of raw records. `every`: the handler of all events. `by_types`: handlers by event types, in the order
    in which they run (people before visits).

    Each handler receives its events in the order of arrival.
    """

    every: Handler
    by_types: Mapping[tuple[str, ...], Handler]

    async def __call__(self, records: Sequence[Record], tx: Tx) -> None:
        received = await _parse(records, tx)
        if not received:
            return
        await self.every(received, tx)
        decoded = [event for event in received if event.data is not None]
        for types, handler in self.by_types.items():
            wanted = [event for event in decoded if event.event_type in types]
            if wanted:
                await handler(wanted, tx)


async def _parse(records: Sequence[Record], tx: Tx) -> list[ReceivedEvent]:
    """The events of the valid records; invalid records are parked."""
    received: list[ReceivedEvent] = []
    for record in records:
        try:
            received.append(parse_record(record))
        except BadMessage as bad:
            await park(tx, tx.service, record, bad.reason, None)
    return received
