"""Store and lock tasks and their answers. The lock order is: heads, plans, tasks, providers; each by key."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from common.codes import divisions
from shell.store.bulk import insert, insert_new
from shell.store.transaction import Tx

from dispatch.domain.task import State, Task
from dispatch.tables import AnswerRow, TaskRow

NO_ID: Final = str(UUID(int=0))
TASK_COLUMNS: Final = tuple(Task.__struct_fields__)
_TASKS: Final = f"SELECT {', '.join(TASK_COLUMNS)} FROM tasks"  # noqa: S608


class Assignment(NamedTuple):
    provider: str | None
    state: State


async def lock_tasks(tx: Tx, task_ids: Iterable[str]) -> dict[str, Task]:
    rows = await tx.sql.fetch(
        f"{_TASKS} WHERE task_id = ANY($1::uuid[]) ORDER BY task_id FOR UPDATE", sorted(set(task_ids))
    )
    return {row["task_id"]: task_of(row) for row in rows}


async def lock_live_tasks(tx: Tx, person_ids: Sequence[str], today: date) -> dict[tuple[str, str], list[Task]]:
    """Lock the open tasks of these persons, and completed tasks with a window that ends after today.

    Returns them by person id and item.
    """
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE person_id = ANY($1::uuid[])
              AND (act_at IS NOT NULL OR (state = 'completed' AND window_to > $2)) ORDER BY task_id FOR UPDATE""",
        person_ids,
        today,
    )
    found: dict[tuple[str, str], list[Task]] = {}
    for row in rows:
        found.setdefault((row["person_id"], row["item"]), []).append(task_of(row))
    return found


async def list_due_tasks(tx: Tx, now: datetime, limit: int) -> list[str]:
    """Return the ids of tasks with a step due at `now`, without a lock."""
    rows = await tx.sql.fetch("SELECT task_id FROM tasks WHERE act_at <= $1 ORDER BY act_at LIMIT $2", now, limit)
    return [row[0] for row in rows]


async def load_persons_of_tasks(tx: Tx, task_ids: Iterable[str]) -> set[str]:
    rows = await tx.sql.fetch("SELECT person_id FROM tasks WHERE task_id = ANY($1::uuid[])", list(task_ids))
    return {row[0] for row in rows}


async def insert_tasks(tx: Tx, tasks: Sequence[Task]) -> set[str]:
    """Insert the tasks that do not exist yet. Returns the ids of the inserted tasks."""
    if not tasks:
        return set()
    ordered = sorted(tasks, key=lambda task: task.task_id)
    fresh = await insert_new(tx, TaskRow, TASK_COLUMNS, [_row(task) for task in ordered], returning="task_id")
    await insert_areas(tx, {task.division for task in tasks})
    return fresh


async def update_tasks(tx: Tx, tasks: Sequence[Task]) -> list[Assignment]:
    """Save tasks that the caller has locked. Returns their assignments before the change."""
    if not tasks:
        return []
    rows = await tx.sql.fetch(
        """UPDATE tasks t SET state = u.state, provider = u.provider, cause = u.cause, accept_by = u.accept_by,
             checked_in_at = u.checked_in_at, checked_out_at = u.checked_out_at, worker = u.worker,
             outcome = u.outcome, tried = u.tried, act_at = u.act_at, entitlement_id = u.entitlement_id
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
             $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::uuid[])
             AS u(task_id, state, provider, cause, accept_by, checked_in_at, checked_out_at, worker, outcome, tried,
                  act_at, entitlement_id)
           WHERE t.task_id = u.task_id RETURNING old.provider, old.state""",
        [t.task_id for t in tasks],
        [t.state for t in tasks],
        [t.provider for t in tasks],
        [t.cause for t in tasks],
        [t.accept_by for t in tasks],
        [t.checked_in_at for t in tasks],
        [t.checked_out_at for t in tasks],
        [t.worker for t in tasks],
        [t.outcome for t in tasks],
        [",".join(t.tried) for t in tasks],
        [t.act_at for t in tasks],
        [t.entitlement_id for t in tasks],
    )
    return [Assignment(*row) for row in rows]


async def set_verdicts(tx: Tx, verdicts: Mapping[str, str]) -> None:
    """Store verdicts. `verdicts`: by task id."""
    await tx.sql.execute(
        """UPDATE tasks t SET verdict = u.verdict FROM unnest($1::uuid[], $2::text[]) AS u(task_id, verdict)
           WHERE t.task_id = u.task_id""",
        list(verdicts),
        list(verdicts.values()),
    )


async def list_unplaced(tx: Tx, after: str, limit: int) -> list[Task]:
    """Tasks without a suitable provider, in the order of ids, not locked."""
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE state = 'planned' AND cause IS NOT NULL AND task_id > $1 ORDER BY task_id LIMIT $2""",
        after,
        limit,
    )
    return [task_of(row) for row in rows]


class TaskRecord(NamedTuple):
    """An answer or an officer's decision, as recorded with the task. `given_by`: a provider or an officer."""

    task_id: str
    given_by: str
    answer: str
    at: datetime
    received_at: datetime
    via: str
    evidence: str | None = None
    refused: str | None = None


async def append_records(tx: Tx, records: Sequence[TaskRecord]) -> None:
    await insert(tx, AnswerRow, TaskRecord._fields, records)


async def claim_replies(tx: Tx, reply_ids: Sequence[str]) -> set[str]:
    """Claim the replies of a batch. Returns the ids that were not claimed before."""
    rows = await tx.sql.fetch(
        """INSERT INTO inbox (consumer, event_id) SELECT 'dispatch.replies', unnest($1::uuid[])
           ON CONFLICT DO NOTHING RETURNING event_id""",
        sorted(set(reply_ids)),
    )
    return {row[0] for row in rows}


async def insert_areas(tx: Tx, codes: Iterable[str]) -> None:
    """Store each division with all areas that contain it, for queries by area."""
    pairs = sorted(pair for code in codes for pair in _areas_of(code))
    await tx.sql.execute(
        "INSERT INTO areas (area, division) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
        [area for area, _ in pairs],
        [code for _, code in pairs],
    )


def _areas_of(code: str) -> list[tuple[str, str]]:
    return [(area, code) for area in (code, *divisions.ancestors(code))]


def _row(task: Task) -> tuple[Any, ...]:
    values = msgspec.structs.asdict(task)
    values["tried"] = ",".join(task.tried)
    return tuple(values.values())


def task_of(row: Mapping[str, Any]) -> Task:
    values = dict(row)
    values["tried"] = tuple(filter(None, values["tried"].split(",")))
    return Task(**values)
