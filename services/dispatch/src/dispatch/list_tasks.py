"""Officers, approvers, auditors, providers and visitors read tasks."""

from typing import Annotated
from uuid import UUID

import asyncpg
from common.errors import NotAllowed, NotFound
from fastapi import APIRouter, Depends, Query
from shell.access.auth import Caller, require
from shell.access.scopes import OwnProvider, scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Day, DivisionCode, ItemCode, Uscc
from shell.service import Db

from dispatch import store
from dispatch.domain.task import State
from dispatch.shapes import TaskOut, TasksOut, task_out, tasks_page
from dispatch.visibility import sees_task

router = APIRouter(tags=["tasks"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor", "provider", "visitor"))]


@router.get("/v1/tasks")
async def list_tasks(
    db: Db,
    caller: Reader,
    person_id: UUID | None = None,
    provider: Uscc | None = None,
    state: State | None = None,
    item: ItemCode | None = None,
    division: Annotated[DivisionCode | None, Query(description="with everything below it")] = None,
    due_before: Annotated[Day | None, Query(description="`window.to` is this day or earlier")] = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> TasksOut:
    """List tasks. A provider sees its own tasks, a visitor those of the provider in the visitor's area. All others see
    those of their area. The tasks of a person include those of the identities that were merged into this person."""
    scope = scope_of(caller)
    if isinstance(scope, OwnProvider) and provider not in (None, scope.provider):
        raise NotAllowed("a provider sees its own tasks only")
    async with db.transaction() as tx:
        person_ids = await _identities(tx.sql, str(person_id)) if person_id else None
        wanted = store.TaskFilter(person_ids, provider, state, item, division, due_before)
        tasks = await store.page_tasks(tx.sql, scope, wanted, str(after or store.NO_ID), limit)
        if caller.role != "provider":
            people = sorted({one.task.person_id for one in tasks})
            await audits.append(tx, caller, act="search", purpose="tasks", person_ids=person_ids or people)
    return tasks_page(tasks, limit)


async def _identities(connection: asyncpg.Connection, person_id: str) -> list[str]:
    """Return the ids of the person and of all aliases."""
    return [person_id, *await store.load_aliases(connection, person_id)]


@router.get("/v1/tasks/{task_id}")
async def show_task(task_id: UUID, db: Db, caller: Reader) -> TaskOut:
    """One task. A task outside the caller's scope is not found."""
    key = str(task_id)
    async with db.transaction() as tx:
        stored = await store.load_task(tx.sql, key)
        if stored is None or not sees_task(scope_of(caller), stored.task.provider, stored.task.division):
            raise NotFound("no such task")
        if caller.role != "provider":
            await audits.append(tx, caller, act="read", purpose="task", cause=key, person_ids=[stored.task.person_id])
    return task_out(stored.task, stored.verdict)
