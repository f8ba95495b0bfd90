"""From raw records to steps and to the few events that something is decided about.

Supervision sees every message of the platform, so most are never decoded: the envelope in the headers is enough for
a step. Nothing here is claimed in the inbox: a step has its key, states and tasks are guarded by version and time,
verdicts and alerts by what is stored of them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.errors import BadMessage
from common.events import Event, all_events
from common.message import CAUSES_MAX, Message, Record, merge_causes
from shell.store.parked import park
from shell.store.transaction import Tx

from supervision.domain import events

Handler = Callable[[Sequence["Sighting"], Tx], Awaitable[None]]
OF_EVERY_SERVICE: Final = r"^[a-z_]+\.(parked|access)$"
_STATES: Final = frozenset(name.rsplit(".", 1)[1] for name, cls in all_events().items() if cls.state)
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# id, correlation, causation, time, version (digits; a policy's is a digest) and type, as they stand in the headers
_ENVELOPE: Final = re.compile(
    rf"({_UUID}) ({_UUID}) ({_UUID})? (\d{{4}}-\d\d-\d\dT[0-9:.]{{8,15}}\+00:00) (?:(\d{{1,18}})|\S*) "
    rf"(?:[\w.]*\.)?(\w{{1,80}})",
    re.ASCII,
)
_SERVICE: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)
_IDS: Final = re.compile(_UUID)


class Sighting(NamedTuple):
    """One event as supervision sees it. `at` is ISO text in UTC; `data` is None where the envelope is enough."""

    event_id: str
    correlation_id: str
    causation_id: str | None
    at: str
    version: str | None  # of a state
    service: str
    what: str
    person_id: str | None
    causes: tuple[str, ...]
    data: Any
    traceparent: str | None
    division: str | None = None  # of the person, as the sender of the event knows it

    def message(self) -> Message[Event]:
        """As the cause of what supervision says next."""
        return Message(
            id=self.event_id,
            data=self.data,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            time=self.time,
            traceparent=self.traceparent,
            causes=self.causes,
        )

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at)


def topics() -> list[str]:
    """Every topic whose events are part of a chain; a provider's own topics are not ours to read."""
    known = {cls.topic for cls in all_events().values()}
    own = sorted(t for t in known if t not in ("parked", "access") and not t.startswith("dispatch.provider"))
    return [*own, OF_EVERY_SERVICE]


def sight(record: Record) -> Sighting:
    """Raises BadMessage."""
    headers = dict(record.headers)
    try:
        own_id = headers["ce_id"]
        said = (
            own_id,
            headers.get("ce_correlationid", own_id),
            headers.get("ce_causationid", b""),
            headers["ce_time"],
            headers.get("ce_sequence", b""),
            headers["ce_type"],
        )
        envelope = _ENVELOPE.fullmatch(b" ".join(said).decode())
        service = record.topic.partition(".")[0]
        if envelope is None or not _SERVICE.fullmatch(service):
            raise BadMessage("bad_envelope")
        event_id, correlation_id, causation, at, version, what = envelope.groups()
        value = record.value or b""
        data = events.decode(what, value)
        causes = _causes(what, data, value)
        traceparent, division = headers.get("traceparent"), headers.get("ce_divisioncode")
        return Sighting(
            event_id,
            correlation_id,
            causation,
            at,
            version,
            service,
            what,
            _person(record),
            causes,
            data,
            traceparent.decode() if traceparent else None,
            division.decode() if division else None,
        )
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError) as error:
        raise BadMessage("undecodable") from error


def _causes(what: str, data: Any, value: bytes) -> tuple[str, ...]:
    if what not in _STATES:
        return ()
    causes = events.causes_of(value) if data is None else getattr(data, "causes", ())
    return tuple(cause for cause in causes[-CAUSES_MAX:] if _IDS.fullmatch(cause))


def _person(record: Record) -> str | None:
    """The key of a topic about people is the person; policies have an area instead, parked records their own id."""
    text = (record.key or b"").decode()
    return text if _IDS.fullmatch(text) and not record.topic.endswith(".parked") else None


@dataclass(frozen=True, eq=False)
class Intake:
    """A raw handler for all topics: `every` gets all sightings, `of` those of the kinds they decide about, handlers
    in the order in which they are listed (people before visits), sightings in the order in which they came."""

    every: Handler
    of: Mapping[tuple[str, ...], Handler]

    async def __call__(self, records: Sequence[Record], tx: Tx) -> None:
        sightings = []
        for record in records:
            try:
                sightings.append(sight(record))
            except BadMessage as bad:
                await park(tx, tx.service, record, bad.reason, None)
        if not sightings:
            return
        await self.every(sightings, tx)
        told = [sighting for sighting in sightings if sighting.data is not None]
        for kinds, handler in self.of.items():
            wanted = [sighting for sighting in told if sighting.what in kinds]
            if wanted:
                await handler(wanted, tx)


def newest(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Of states only the newest per person, with the causes of those it supersedes."""
    kept: dict[str, Sighting] = {}
    for sighting in sightings:
        before = kept.get(sighting.data.person_id)
        if before is not None:
            older, newer = sorted((before, sighting), key=lambda s: s.data.version)
            sighting = newer._replace(causes=merge_causes(older.causes, newer.causes))
        kept[sighting.data.person_id] = sighting
    return list(kept.values())
