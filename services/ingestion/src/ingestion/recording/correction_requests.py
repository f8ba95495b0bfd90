"""Asks a source to correct an event: one open request per event. No personal data leaves the service."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from common.events import CorrectionRequested
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.recording.store import corrections as store
from ingestion.register.sources import registered

CORRECTION_DAYS: Final = 5
Rule = Literal["officer", "quarantine_overdue", "standing"]
Target = Literal["rejected", "waiting", "applied"]


class Asked(NamedTuple):
    """The event to correct, and its problem. `reason`: a text for officers and the source, never on a topic."""

    event_id: str
    source: str
    kind: str | None
    target: Target
    code: str
    pointer: str
    reason: str


async def ask(
    tx: Tx, asked: Sequence[Asked], rule: Rule, by: str, now: datetime, *, correction_id: str | None = None
) -> int:
    """Store correction requests and emit them. Returns the number of new ones.

    An event with an open request gets no second one. `by`: the officer, or the name of a job or rule of the platform.
    `correction_id`: the id of the request, if there is only one."""
    by_id = {correction_id or _derived_id(a, now): a for a in asked}
    rows = [_row(id_, a) for id_, a in by_id.items()]
    asking = store.Asking(rule, by, now, now + timedelta(days=CORRECTION_DAYS))
    new = await store.insert_corrections(tx, rows, asking)
    for id_ in sorted(new):
        tx.emit(_requested(id_, by_id[id_], asking), by_id[id_].event_id)
    return len(new)


def _derived_id(asked: Asked, now: datetime) -> str:
    return derived_id("correction", asked.event_id, now.isoformat())


def _row(correction_id: str, asked: Asked) -> store.NewCorrection:
    return store.NewCorrection(correction_id, registered()[asked.source].area, **asked._asdict())


def _requested(correction_id: str, asked: Asked, asking: store.Asking) -> CorrectionRequested:
    return CorrectionRequested(
        correction_id=correction_id,
        source=asked.source,
        event_id=asked.event_id,
        kind=asked.kind,
        code=asked.code,
        pointer=asked.pointer,
        asked_at=asking.at,
        deadline=asking.deadline,
    )
