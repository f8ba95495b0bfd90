"""The job that closes a correction request when its source has corrected the event."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from common.events import CorrectionAnswered
from common.events.facts import Statement
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.corrections import store
from ingestion.domain.person import statements_of
from ingestion.recording.store import statements

STEP_MAX: Final = 200
LOOK_EVERY: Final = timedelta(seconds=30)
# A transaction commits after the instant that it records, so a check looks back a little further than the last one.
MARGIN: Final = timedelta(minutes=2)
open_now = Gauge("shouwang_corrections", "Corrections that sources were asked for", ["state"])


class Answer(NamedTuple):
    """`event_id`: the event that answers the request; None if the request is withdrawn."""

    outcome: Literal["answered", "withdrawn"]
    event_id: str | None


async def answer_corrections(database: Database) -> int:
    """One bounded step; returns the number of requests checked."""
    now = clock.now()
    async with database.transaction() as tx:
        requests = await store.lock_open(tx, now - LOOK_EVERY, MARGIN, STEP_MAX)
        households = await _household_statements(tx, [r.household for r in requests if r.household])
        settled = []
        for request in requests:
            answer = _answer(request, households)
            if answer is not None:
                settled.append(store.Settled(request.correction_id, answer.outcome, answer.event_id))
                _emit(tx, request, answer, now)
        await store.save_looked(tx, [request.correction_id for request in requests], now)
        await store.settle(tx, settled, now)
        waiting, overdue = await store.count_open(tx.sql, now)
    open_now.labels("open").set(waiting)
    open_now.labels("overdue").set(overdue)
    return len(requests)


def _emit(tx: Tx, request: store.OpenRequest, answer: Answer, now: datetime) -> None:
    tx.emit(
        CorrectionAnswered(
            correction_id=request.correction_id,
            source=request.source,
            event_id=request.event_id,
            outcome=answer.outcome,
            answered_by=answer.event_id,
            answered_at=now,
        ),
        request.event_id,
    )


async def _household_statements(tx: Any, households: Sequence[str]) -> dict[str, list[Statement]]:
    states = await statements.load_households(tx, households)
    return {household: [entry.said for entry in state.entries] for household, state in states.items()}


def _answer(request: store.OpenRequest, households: Mapping[str, Sequence[Statement]]) -> Answer | None:
    """The answer that has arrived meanwhile, if any."""
    match request.target:
        case "rejected":
            return Answer("answered", request.event_id) if request.status is not None else None
        case "waiting" if request.status == "parked":
            return Answer("withdrawn", None)
        case "waiting":
            return Answer("answered", request.event_id) if request.status == "applied" else None
    known = [*households.get(request.household or "", ())]
    if request.statements:
        known += statements_of(request.statements)
    later = [s for s in known if s.chain == request.chain and _changes_after(s, request.asked_at)]
    if not later:
        return None
    first = min(later, key=lambda statement: (statement.recorded_at, statement.event_id))
    return Answer("answered", first.event_id)


def _changes_after(statement: Statement, asked_at: datetime) -> bool:
    """Whether the statement corrects, annuls or ends its chain after the request."""
    return statement.action != "created" and statement.recorded_at > asked_at
