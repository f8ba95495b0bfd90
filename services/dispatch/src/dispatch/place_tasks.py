"""Tasks nobody could be asked for are tried again when a provider appears; until then they are listed."""

from typing import Annotated, Final
from uuid import UUID

from common.codes import divisions
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import scope_of
from shell.http.answers import Limit
from shell.service import Db
from shell.store.database import Database
from shell.store.transaction import Tx

from dispatch import store
from dispatch.answering import lock_with_plans
from dispatch.domain.market import Provider
from dispatch.domain.task import Moved, Task
from dispatch.settling import settle
from dispatch.views import TasksOut, tasks_page

STEP_MAX: Final = 500
router = APIRouter(tags=["tasks"])


@router.get("/v1/unplaced")
async def list_unplaced(
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    limit: Limit = 100,
    after: UUID | None = None,
) -> TasksOut:
    """Tasks without a provider, with the cause: no_provider, all_declined or offers_exhausted."""
    async with db.reading() as connection:
        rows = await store.page_unplaced(connection, scope_of(caller), str(after or store.NO_ID), limit)
    return tasks_page(rows, limit)


async def place_again(database: Database) -> int:
    """Job: one bounded step through the unplaced tasks for one provider that is new or has changed."""
    async with database.transaction() as tx:
        found = await store.next_rematch(tx)
        if found is None:
            return 0
        provider, after = found
        waiting = await store.list_unplaced(tx, after, STEP_MAX)
        await _place(tx, [t.task_id for t in waiting if _fits(t, provider)])
        reached = waiting[-1].task_id if len(waiting) == STEP_MAX else None
        await store.set_rematch(tx, provider.uscc, after, reached)
    return 1


async def _place(tx: Tx, task_ids: list[str]) -> None:
    if not task_ids:
        return
    tasks, _ = await lock_with_plans(tx, task_ids)
    moves = [Moved(task, place=True) for task in tasks.values() if task.state == "planned" and task.cause]
    await settle(tx, moves, clock.now())


def _fits(task: Task, provider: Provider) -> bool:
    return task.item in provider.items and any(divisions.within(task.division, area) for area in provider.divisions)
