"""To ask a source to put an event right: one open request per event, and the news of it. Nothing personal travels."""

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
    """What is wrong with which event. `reason`: in words, for us and the source, never on a topic."""

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
    """How many were asked; an event with an open request gets no second one. `correction_id`: of the only one."""
    deadline = now + timedelta(days=CORRECTION_DAYS)
    rows = {correction_id or derived_id("correction", a.event_id, now.isoformat()): a for a in asked}
    values = [
        (id_, registered()[a.source].area, a.source, a.event_id, a.kind, a.target, a.code, a.pointer, a.reason)
        for id_, a in rows.items()
    ]
    new = await store.insert_corrections(tx, values, rule, by, now, deadline)
    for new_id in sorted(new):
        a = rows[new_id]
        tx.emit(
            CorrectionRequested(
                correction_id=new_id,
                source=a.source,
                event_id=a.event_id,
                kind=a.kind,
                code=a.code,
                pointer=a.pointer,
                asked_at=now,
                deadline=deadline,
            ),
            a.event_id,
        )
    return len(new)
