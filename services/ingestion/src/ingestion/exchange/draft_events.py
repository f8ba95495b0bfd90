"""Makes events from the drafts that the decision about a row asks for. They pass the same checks as pushed events."""

from datetime import datetime
from typing import Any

import msgspec
from common.events.kinds import WITHOUT_VALUE
from common.events.population import population_type
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Rejected
from ingestion.exchange.domain.states import Draft, KeyState
from ingestion.exchange.feeds import Setup
from ingestion.reading.events import read_event, reopen
from ingestion.recording.store.statements import load_sealed

_encode = msgspec.json.Encoder().encode


async def load_heads(tx: Tx, setup: Setup, states: dict[bytes, KeyState]) -> dict[bytes, Pushed]:
    """Load the last event of the present period, by row key. A key without an event is left out."""
    keys = _keys_of_heads(setup, states)
    sealed_events = await load_sealed(tx.sql, keys)
    return {keys[id_]: reopen(vault().open(sealed, id_.encode())) for id_, sealed in sealed_events.items()}


def _keys_of_heads(setup: Setup, states: dict[bytes, KeyState]) -> dict[str, bytes]:
    """Row keys by id of the last event of the period."""
    source = setup.feed.source
    return {vault().event_id(source, _source_id(key, s.head)): key for key, s in states.items() if s.head}


def event_of(
    setup: Setup, key: bytes, draft: Draft, own: Pushed | None, head: Pushed | None, *, at: datetime, now: datetime
) -> Pushed | Rejected:
    """Return the event of a draft, at time `at`; Rejected if it fails a check.

    `key`: the row key. `own`: the row as an event. `head`: the last event of the period."""
    about = head if draft.about_former and head is not None else own
    person = {"id_number": about.person.number if about is not None else ""}
    data: dict[str, Any] = {"action": draft.action, "valid_from": draft.valid_from, "valid_to": draft.valid_to}
    if draft.previous is not None:
        data["previous_event_id"] = _source_id(key, draft.previous)
    if draft.action not in WITHOUT_VALUE and own is not None:
        data["value"] = own.value
        person |= _name_of(own)
    event = _cloud_event(setup, _source_id(key, draft.version), at, data | {"person": person})
    return read_event(_encode(event), now, only_source=setup.feed.source)


def _name_of(own: Pushed) -> dict[str, str]:
    return {"name": own.name} if own.name is not None else {}


def _cloud_event(setup: Setup, id_: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": setup.feed.source,
        "type": population_type(setup.mapping.kind),
        "time": at.isoformat(),
        "data": data,
    }


def _source_id(key: bytes, version: int) -> str:
    """The source's own id of an event, from the row key and the number of the event.

    The number has leading zeros, because events of one chain with the same time are sorted by their ids."""
    return f"table-{key.hex()}-{version:06d}"
