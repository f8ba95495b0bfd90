"""List the tasks without a suitable provider, and offer them again when a provider appears or changes.

A task with the maximum number of offers is not offered again. An officer must reassign it.
"""

from typing import Annotated, Final
from uuid import UUID

from common.codes import divisions
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db
from shell.store.database import Database
from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import lock_with_plans, save_changes
from dispatch.domain.providers import Provider
from dispatch.domain.task import Change, Task
from dispatch.shapes import TasksOut, tasks_page

STEP_MAX: Final = 500
router = APIRouter(tags=["tasks"])


@router.get("/v1/unplaced")
async def list_unplaced(
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    limit: Limit = 100,
    after: UUID | None = None,
) -> TasksOut:
    """Tasks that no provider has, although their day of offer has come, with the cause.

    `no_provider`: none serves the item in the area. `all_declined`: each provider that serves it already had an offer.
    `offers_exhausted`: the task had the maximum number of offers.
    """
    async with db.transaction() as tx:
        tasks = await store.page_unplaced(tx.sql, scope_of(caller), str(after or store.NO_ID), limit)
        people = sorted({one.task.person_id for one in tasks})
        await audits.append(tx, caller, act="search", purpose="unplaced", person_ids=people)
    return tasks_page(tasks, limit)


async def place_again(database: Database) -> int:
    """Job: offer the unplaced tasks again that one new or changed provider serves, one batch in each call.

    Returns 1, or 0 if no provider is new or has changed.
    """
    async with database.transaction() as tx:
        rematch = await store.load_next_rematch(tx)
        if rematch is None:
            return 0
        unplaced = await store.list_unplaced(tx, rematch.after, STEP_MAX)
        await _offer(tx, [task.task_id for task in unplaced if _serves(rematch.provider, task)])
        reached = unplaced[-1].task_id if len(unplaced) == STEP_MAX else None
        await store.set_rematch(tx, rematch.provider.uscc, rematch.after, reached)
    return 1


async def _offer(tx: Tx, task_ids: list[str]) -> None:
    if not task_ids:
        return
    tasks, _ = await lock_with_plans(tx, task_ids)
    unplaced = [task for task in tasks.values() if task.state == "planned" and task.cause]
    await save_changes(tx, [Change(task, needs_provider=True) for task in unplaced], clock.now())


def _serves(provider: Provider, task: Task) -> bool:
    return task.item in provider.items and any(divisions.within(task.division, area) for area in provider.divisions)
