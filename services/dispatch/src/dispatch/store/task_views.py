"""Read tasks for callers and for the self-check, without locks."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import asyncpg
from common.errors import NotAllowed
from shell.access.scopes import Areas, Everything, OwnProvider, Scope

from dispatch.domain.task import State, Task
from dispatch.store.tasks import TASK_COLUMNS, task_of

_IN_AREA: Final = "division IN (SELECT division FROM areas WHERE area = {})"
_TASKS: Final = f"SELECT {', '.join(TASK_COLUMNS)}, verdict FROM tasks"  # noqa: S608
Condition = tuple[str, object]  # SQL with a place for its value; None as a value leaves the condition out


class StoredTask(NamedTuple):
    """A task with its `verdict`: supervision's judgement of a completed visit, None before it."""

    task: Task
    verdict: str | None


class TaskFilter(NamedTuple):
    """The filter of a list of tasks. A field that is None does not apply. `division`: an area with all areas below it.

    `due_before`: `window_to`, the first day after the window, is this day or earlier.
    """

    person_ids: Sequence[str] | None = None
    provider: str | None = None
    state: State | None = None
    item: str | None = None
    division: str | None = None
    due_before: date | None = None

    def conditions(self) -> list[Condition]:
        return [
            ("person_id = ANY({}::uuid[])", self.person_ids),
            ("provider = {}", self.provider),
            ("state = {}", self.state),
            ("item = {}", self.item),
            (_IN_AREA, self.division),
            ("window_to <= {}", self.due_before),
        ]


async def page_tasks(
    connection: asyncpg.Connection, scope: Scope, wanted: TaskFilter, after: str, limit: int
) -> list[StoredTask]:
    """One page of the tasks in the scope, in the order of ids."""
    return await _page(connection, "true", [*_in_scope(scope), *wanted.conditions()], after, limit)


async def page_unplaced(connection: asyncpg.Connection, scope: Scope, after: str, limit: int) -> list[StoredTask]:
    """One page of the tasks without a suitable provider, in the order of ids."""
    return await _page(connection, "state = 'planned' AND cause IS NOT NULL", _in_scope(scope), after, limit)


async def _page(
    connection: asyncpg.Connection, fixed: str, conditions: Iterable[Condition], after: str, limit: int
) -> list[StoredTask]:
    where = [fixed, "task_id > $1"]
    values: list[object] = [after, limit]
    for condition, value in conditions:
        if value is not None:
            values.append(value)
            where.append(condition.format(f"${len(values)}"))
    rows = await connection.fetch(f"{_TASKS} WHERE {' AND '.join(where)} ORDER BY task_id LIMIT $2", *values)
    return [_stored(row) for row in rows]


def _in_scope(scope: Scope) -> list[Condition]:
    """Return the SQL conditions for the tasks in a scope. Raises NotAllowed for a scope without any task."""
    match scope:
        case Everything():
            return []
        case Areas(area):
            return [(_IN_AREA, area)]
        case OwnProvider(provider, area):
            return [("provider = {}", provider), (_IN_AREA, area)]
        case _:
            raise NotAllowed("no task is in your scope")


async def load_task(connection: asyncpg.Connection, task_id: str) -> StoredTask | None:
    row = await connection.fetchrow(f"{_TASKS} WHERE task_id = $1", task_id)
    return _stored(row) if row else None


def _stored(row: Any) -> StoredTask:
    values = dict(row)
    verdict = values.pop("verdict")
    return StoredTask(task_of(values), verdict)


async def load_areas_of_tasks(connection: asyncpg.Connection, task_ids: Sequence[str]) -> list[str]:
    rows = await connection.fetch("SELECT DISTINCT division FROM tasks WHERE task_id = ANY($1::uuid[])", task_ids)
    return [row[0] for row in rows]


async def load_persons_with_window(
    connection: asyncpg.Connection, person_ids: Sequence[str], today: date
) -> set[tuple[str, str]]:
    """Return (person id, item) of the tasks that are not cancelled and whose window ends after today."""
    rows = await connection.fetch(
        """SELECT DISTINCT person_id, item FROM tasks
           WHERE person_id = ANY($1::uuid[]) AND state <> 'cancelled' AND window_to > $2""",
        person_ids,
        today,
    )
    return {(row[0], row[1]) for row in rows}


async def load_newest_checks(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, date]:
    """Return by person id the end of the window of the newest check of a suspected death, without cancelled checks."""
    rows = await connection.fetch(
        """SELECT person_id, max(window_to) AS ends FROM tasks
           WHERE person_id = ANY($1::uuid[]) AND reason = 'suspicion' AND state <> 'cancelled' GROUP BY person_id""",
        person_ids,
    )
    return {row[0]: row[1] for row in rows}
