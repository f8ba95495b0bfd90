"""Tasks and the answers to them. Locks are taken in one order: heads, plans, tasks, providers; each by key."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from common.codes import divisions
from common.errors import NotAllowed
from shell.access.scopes import Areas, Everything, OwnProvider, Scope
from shell.store.bulk import insert_new
from shell.store.transaction import Tx

from dispatch.domain.answer import Answer
from dispatch.domain.task import State, Task
from dispatch.tables import TaskRow

NO_ID: Final = str(UUID(int=0))
_TASK_COLUMNS: Final = tuple(Task.__struct_fields__)
_IN_AREA: Final = "division IN (SELECT division FROM areas WHERE area = {})"
_TASKS: Final = f"SELECT {', '.join(_TASK_COLUMNS)} FROM tasks"  # noqa: S608


async def lock_tasks(tx: Tx, task_ids: Iterable[str]) -> dict[str, Task]:
    rows = await tx.sql.fetch(
        f"{_TASKS} WHERE task_id = ANY($1::uuid[]) ORDER BY task_id FOR UPDATE", sorted(set(task_ids))
    )
    return {row["task_id"]: _task(row) for row in rows}


async def lock_live_tasks(tx: Tx, person_ids: Sequence[str], today: date) -> dict[tuple[str, str], list[Task]]:
    """By person and item: the open ones, and completed ones whose window reaches beyond today."""
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE person_id = ANY($1::uuid[])
              AND (act_at IS NOT NULL OR (state = 'completed' AND window_to > $2)) ORDER BY task_id FOR UPDATE""",
        person_ids,
        today,
    )
    found: dict[tuple[str, str], list[Task]] = {}
    for row in rows:
        found.setdefault((row["person_id"], row["item"]), []).append(_task(row))
    return found


async def list_due_tasks(tx: Tx, now: datetime, limit: int) -> list[str]:
    """The tasks whose time has come; not locked yet."""
    rows = await tx.sql.fetch("SELECT task_id FROM tasks WHERE act_at <= $1 ORDER BY act_at LIMIT $2", now, limit)
    return [row[0] for row in rows]


async def persons_of_tasks(tx: Tx, task_ids: Iterable[str]) -> set[str]:
    rows = await tx.sql.fetch("SELECT person_id FROM tasks WHERE task_id = ANY($1::uuid[])", list(task_ids))
    return {row[0] for row in rows}


async def insert_tasks(tx: Tx, tasks: Sequence[Task]) -> set[str]:
    """The ids that were new; the others exist already, made on another path."""
    if not tasks:
        return set()
    ordered = sorted(tasks, key=lambda task: task.task_id)
    fresh = await insert_new(tx, TaskRow, _TASK_COLUMNS, [_row(task) for task in ordered], returning="task_id")
    await insert_areas(tx, {task.division for task in tasks})
    return fresh


class Hand(NamedTuple):
    """Who has a task, and how it stands."""

    provider: str | None
    state: State


async def update_tasks(tx: Tx, tasks: Sequence[Task]) -> list[Hand]:
    """What may change of a task, for tasks that the caller has locked. Returns in whose hands they were before."""
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
    return [Hand(*row) for row in rows]


async def set_verdicts(tx: Tx, verdicts: Sequence[tuple[str, str]]) -> None:
    await tx.sql.execute(
        """UPDATE tasks t SET verdict = u.verdict FROM unnest($1::uuid[], $2::text[]) AS u(task_id, verdict)
           WHERE t.task_id = u.task_id""",
        [task_id for task_id, _ in verdicts],
        [verdict for _, verdict in verdicts],
    )


async def list_unplaced(tx: Tx, after: str, limit: int) -> list[Task]:
    """Tasks nobody could be asked for, in the order of their ids, not locked."""
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE state = 'planned' AND cause IS NOT NULL AND task_id > $1 ORDER BY task_id LIMIT $2""",
        after,
        limit,
    )
    return [_task(row) for row in rows]


async def append_answer(
    tx: Tx,
    task_id: str,
    answer: Answer,
    received_at: datetime,
    via: str,
    refused: str | None,
    evidence: str | None = None,
) -> None:
    await tx.sql.execute(
        """INSERT INTO answers (task_id, given_by, answer, at, received_at, via, evidence, refused)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        task_id,
        answer.provider,
        answer.kind,
        answer.at,
        received_at,
        via,
        evidence,
        refused,
    )


async def claim_replies(tx: Tx, reply_ids: Sequence[str]) -> set[str]:
    """Those not taken before."""
    rows = await tx.sql.fetch(
        """INSERT INTO inbox (consumer, event_id) SELECT 'dispatch.replies', unnest($1::uuid[])
           ON CONFLICT DO NOTHING RETURNING event_id""",
        sorted(set(reply_ids)),
    )
    return {row[0] for row in rows}


async def insert_areas(tx: Tx, codes: Iterable[str]) -> None:
    """Remember which areas these divisions lie in."""
    pairs = sorted((area, code) for code in codes for area in (code, *divisions.ancestors(code)))
    await tx.sql.execute(
        "INSERT INTO areas (area, division) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
        [area for area, _ in pairs],
        [code for _, code in pairs],
    )


def _row(task: Task) -> tuple[Any, ...]:
    return tuple(",".join(task.tried) if c == "tried" else getattr(task, c) for c in _TASK_COLUMNS)


def _task(row: Any) -> Task:
    return Task(**{**row, "tried": tuple(filter(None, row["tried"].split(",")))})


async def page_tasks(
    connection: asyncpg.Connection,
    *,
    scope: Scope,
    person_ids: Sequence[str] | None,
    provider: str | None,
    state: str | None,
    item: str | None,
    division: str | None,
    due_before: date | None,
    after: str,
    limit: int,
) -> list[Any]:
    """One page in the order of ids. `division` is an area and stands for all below it."""
    conditions: list[str] = ["task_id > $1"]
    values: list[Any] = [after, limit]
    for condition, value in (
        *_in_scope(scope),
        (_IN_AREA, division),
        ("person_id = ANY({}::uuid[])", person_ids),
        ("provider = {}", provider),
        ("state = {}", state),
        ("item = {}", item),
        ("window_to <= {}", due_before),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    where = " AND ".join(conditions)
    rows: list[Any] = await connection.fetch(
        f"SELECT * FROM tasks WHERE {where} ORDER BY task_id LIMIT $2",  # noqa: S608 - only our own conditions
        *values,
    )
    return rows


def _in_scope(scope: Scope) -> list[tuple[str, str]]:
    """Conditions on a task, each with its value. Raises NotAllowed for a scope that no task can be in."""
    match scope:
        case Everything():
            return []
        case Areas(area):
            return [(_IN_AREA, area)]
        case OwnProvider(provider, None):
            return [("provider = {}", provider)]
        case OwnProvider(provider, str(area)):
            return [("provider = {}", provider), (_IN_AREA, area)]
        case _:
            raise NotAllowed("no task is in your scope")


async def page_unplaced(connection: asyncpg.Connection, scope: Scope, after: str, limit: int) -> list[Any]:
    """Tasks without a provider, in the order of ids."""
    conditions = ["state = 'planned' AND cause IS NOT NULL AND task_id > $1"]
    values: list[Any] = [after, limit]
    for condition, value in _in_scope(scope):
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))
    where = " AND ".join(conditions)
    rows: list[Any] = await connection.fetch(
        f"SELECT * FROM tasks WHERE {where} ORDER BY task_id LIMIT $2",  # noqa: S608 - only our own conditions
        *values,
    )
    return rows


async def show_task(connection: asyncpg.Connection, task_id: str) -> Any:
    return await connection.fetchrow("SELECT * FROM tasks WHERE task_id = $1", task_id)


async def areas_of_tasks(connection: asyncpg.Connection, task_ids: Sequence[str]) -> list[str]:
    rows = await connection.fetch("SELECT DISTINCT division FROM tasks WHERE task_id = ANY($1::uuid[])", task_ids)
    return [row[0] for row in rows]


async def persons_with_window(
    connection: asyncpg.Connection, person_ids: Sequence[str], today: date
) -> set[tuple[str, str]]:
    """(person, item) with any visit, not cancelled, whose window holds today or is still to come."""
    rows = await connection.fetch(
        """SELECT DISTINCT person_id, item FROM tasks
           WHERE person_id = ANY($1::uuid[]) AND state <> 'cancelled' AND window_to > $2""",
        person_ids,
        today,
    )
    return {(row[0], row[1]) for row in rows}


async def newest_checks(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, date]:
    """By person: where the window of the newest check of a suspected death ends, cancelled checks left out."""
    rows = await connection.fetch(
        """SELECT person_id, max(window_to) AS ends FROM tasks
           WHERE person_id = ANY($1::uuid[]) AND reason = 'suspicion' AND state <> 'cancelled' GROUP BY person_id""",
        person_ids,
    )
    return {row["person_id"]: row["ends"] for row in rows}
