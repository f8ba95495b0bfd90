"""The job that closes a correction request when its event is changed, accepted, applied, discarded or withdrawn."""

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
from ingestion.domain.statements import is_hint_end
from ingestion.recording.store import statements

STEP_MAX: Final = 200
LOOK_EVERY: Final = timedelta(seconds=30)
# A transaction commits after the instant that it records, so a check looks back a little further than the last one.
MARGIN: Final = timedelta(minutes=2)
open_now = Gauge("shouwang_corrections", "Corrections that sources were asked for", ["state"])


class Answer(NamedTuple):
    """The end of a request. `event_id`: the event that answers it; None if the request is withdrawn."""

    outcome: Literal["answered", "withdrawn"]
    event_id: str | None


async def answer_corrections(database: Database) -> int:
    """Job: check at most STEP_MAX open requests, and close those that have an answer. Returns the number checked."""
    now = clock.now()
    async with database.transaction() as tx:
        requests = await store.lock_open(tx, now - LOOK_EVERY, MARGIN, STEP_MAX)
        households = await _household_statements(tx, [r.household for r in requests if r.household])
        await store.save_looked(tx, [request.correction_id for request in requests], now)
        await _settle(tx, requests, households, now)
        waiting, overdue = await store.count_open(tx.sql, now)
    _set_gauge(waiting, overdue)
    return len(requests)


def _set_gauge(waiting: int, overdue: int) -> None:
    open_now.labels("open").set(waiting)
    open_now.labels("overdue").set(overdue)


async def _settle(
    tx: Tx, requests: Sequence[store.OpenRequest], households: Mapping[str, Sequence[Statement]], now: datetime
) -> None:
    """Close the requests that have an answer, and emit an event for each. `households`: statements by household."""
    settled = []
    for request in requests:
        answer = _answer(request, households)
        if answer is not None:
            settled.append(store.Settled(request.correction_id, answer.outcome, answer.event_id))
            _emit(tx, request, answer, now)
    await store.settle(tx, settled, now)


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
    return {household: [entry.statement for entry in state.entries] for household, state in states.items()}


def _answer(request: store.OpenRequest, households: Mapping[str, Sequence[Statement]]) -> Answer | None:
    """The answer to a request; None while there is none. `households`: statements by household.

    A request about a rejected event is answered when the event is accepted; about a waiting event, when it is applied;
    about an applied event, when its source changes it. If officers discard the event or its source withdraws it, the
    request is withdrawn."""
    if request.target == "rejected":
        return Answer("answered", request.event_id) if request.status is not None else None
    if request.status == "parked":  # an applied event may have waited again, too
        return Answer("withdrawn", None)
    if request.target == "waiting":
        return Answer("answered", request.event_id) if request.status == "applied" else None
    known = [*households.get(request.household or "", ())]
    if request.statements:
        known += statements_of(request.statements)
    first = _first_change(request, known)
    return Answer("answered", first.event_id) if first is not None else None


def _first_change(request: store.OpenRequest, known: Sequence[Statement]) -> Statement | None:
    """The first statement of the source that corrects, annuls or ends the event's chain after the request."""
    later = [s for s in known if s.chain == request.chain and s.recorded_at > request.asked_at]
    changes = [s for s in later if s.action != "created" and not is_hint_end(s)]
    return min(changes, key=lambda statement: (statement.recorded_at, statement.event_id), default=None)
