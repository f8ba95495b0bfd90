"""Tasks as officers and providers see them."""

from datetime import date
from typing import Annotated
from uuid import UUID

from common.auth import Caller, require
from common.errors import NotAllowed, NotFound
from common.http import Limit
from common.service import Db
from fastapi import APIRouter, Depends, Query

from dispatch import store
from dispatch.domain.task import State
from dispatch.views import TaskOut, TasksOut, own_provider, tasks_page

router = APIRouter(tags=["tasks"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor", "provider", "visitor"))]


@router.get("/v1/tasks")
async def list_tasks(
    db: Db,
    caller: Reader,
    person_id: UUID | None = None,
    provider: Annotated[str | None, Query(max_length=18)] = None,
    state: State | None = None,
    item: Annotated[str | None, Query(max_length=64)] = None,
    division: Annotated[str | None, Query(max_length=12, description="with everything below it")] = None,
    due_before: Annotated[date | None, Query(description="the window ends on or before this day")] = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> TasksOut:
    """A provider sees its own tasks, an officer those of the area. A person's tasks are also those under other numbers
    of the same human."""
    own = own_provider(caller)
    if own is not None and provider not in (None, own):
        raise NotAllowed("a provider sees its own tasks only")
    async with db.reading() as connection:
        key = str(person_id) if person_id else None
        person_ids = [key, *await store.load_aliases(connection, key)] if key else None
        rows = await store.page_tasks(
            connection,
            scope=None if own else caller.division,
            person_ids=person_ids,
            provider=own or provider,
            state=state,
            item=item,
            division=division,
            due_before=due_before,
            after=str(after or store.NO_ID),
            limit=limit,
        )
    return tasks_page(rows, limit)


@router.get("/v1/tasks/{task_id}")
async def show_task(task_id: UUID, db: Db, caller: Reader) -> TaskOut:
    """One task. What lies outside the caller's scope is not there."""
    own = own_provider(caller)
    async with db.reading() as connection:
        row = await store.show_task(connection, str(task_id))
    if row is None or (row["provider"] != own if own else not caller.may_see(row["division"])):
        raise NotFound("no such task")
    return tasks_page([row], 2).tasks[0]
