"""The job that notices when a source has put right what it was asked to."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from common.events import CorrectionAnswered
from common.events.facts import Statement
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database

from ingestion.domain.person import statements_of
from ingestion.recording.store import corrections as store
from ingestion.recording.store import statements

STEP_MAX: Final = 200
LOOK_EVERY: Final = timedelta(seconds=30)
# A transaction commits after the instant it records: look back a little.
MARGIN: Final = timedelta(minutes=2)
open_now = Gauge("shouwang_corrections", "Corrections that sources were asked for", ["state"])


class Answer(NamedTuple):
    outcome: Literal["answered", "withdrawn"]
    event_id: str | None


async def answer_corrections(database: Database) -> int:
    """One bounded step; returns how many were looked at."""
    now = clock.now()
    async with database.transaction() as tx:
        rows = await store.lock_open(tx, now - LOOK_EVERY, MARGIN, STEP_MAX)
        lists = await _lists(tx, [row.household for row in rows if row.household])
        answers = {row.correction_id: (row, found) for row in rows if (found := _answer(row, lists)) is not None}
        await store.note_looked(tx, [row.correction_id for row in rows], now)
        await store.settle(tx, [(id_, a.outcome, a.event_id) for id_, (_, a) in answers.items()], now)
        for correction_id, (row, answer) in answers.items():
            tx.emit(
                CorrectionAnswered(
                    correction_id=correction_id,
                    source=row.source,
                    event_id=row.event_id,
                    outcome=answer.outcome,
                    answered_by=answer.event_id,
                    answered_at=now,
                ),
                row.event_id,
            )
        waiting, overdue = await store.count_open(tx.sql, now)
    open_now.labels("open").set(waiting)
    open_now.labels("overdue").set(overdue)
    return len(rows)


async def _lists(tx: Any, households: Sequence[str]) -> dict[str, list[Statement]]:
    states = await statements.load_households(tx, households)
    return {household: [entry.statement for entry in state.entries] for household, state in states.items()}


def _answer(row: store.OpenCorrection, lists: Mapping[str, Sequence[Statement]]) -> Answer | None:
    match row.target:
        case "rejected":
            return Answer("answered", row.event_id) if row.status is not None else None
        case "waiting" if row.status == "parked":
            return Answer("withdrawn", None)
        case "waiting":
            return Answer("answered", row.event_id) if row.status == "applied" else None
    said = [*lists.get(row.household or "", ()), *(statements_of(row.statements) if row.statements else ())]
    later = [s for s in said if s.chain == row.chain and _came_after(s, row.asked_at)]
    return Answer("answered", min(later, key=lambda s: (s.recorded_at, s.event_id)).event_id) if later else None


def _came_after(said: Statement, asked_at: datetime) -> bool:
    return said.action != "created" and said.recorded_at > asked_at
