"""An officer excuses a visit that could not be made, or gives a task to another provider."""

from typing import Annotated
from uuid import UUID

from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends
from pydantic import Field
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Body, Uscc
from shell.service import Db
from shell.store.transaction import Tx

from dispatch import store
from dispatch.answering import lock_with_plans
from dispatch.domain.answer import Answer
from dispatch.domain.task import (
    ExcuseReason,
    Moved,
    Refused,
    Repeated,
    Task,
    decide_excuse,
    decide_reassign,
    offered,
)
from dispatch.settling import settle, visit_rules
from dispatch.views import TaskOut, task_out

router = APIRouter(tags=["tasks"])
Officer = Annotated[Caller, Depends(require("officer"))]


class ExcuseIn(Body):
    reason: ExcuseReason
    evidence: str = Field(
        pattern=r"^[A-Za-z0-9:_./-]{1,100}$", description="a document number or event id, never a name or free text"
    )


class ReassignIn(Body):
    provider: Uscc | None = Field(default=None, description="credit code; the next suitable provider when left out")


@router.post("/v1/tasks/{task_id}/excuse")
async def excuse(task_id: UUID, body: ExcuseIn, db: Db, caller: Officer) -> TaskOut:
    """No visit was possible, for a reason from the closed list, with evidence."""
    async with db.transaction() as tx:
        task = await _locked(tx, task_id, caller)
        result = decide_excuse(task, body.reason)
        if isinstance(result, Moved):
            await _record(tx, task, f"excuse_{body.reason}", caller, body.evidence)
        return await _settled(tx, result)


@router.post("/v1/tasks/{task_id}/reassign")
async def reassign(task_id: UUID, body: ReassignIn, db: Db, caller: Officer) -> TaskOut:
    """Take the task from whoever has it and offer it to the named or the next provider."""
    now = clock.now()
    async with db.transaction() as tx:
        task = await _locked(tx, task_id, caller)
        result = decide_reassign(task)
        if isinstance(result, Moved):
            if body.provider is not None:
                if not await store.provider_serves(tx, body.provider, task.item, task.division):
                    raise Conflict("no such provider for this item and place", code="provider_unsuitable")
                result = offered(result, body.provider, now, visit_rules())
            await _record(tx, task, "reassign", caller, None)
        return await _settled(tx, result)


async def _locked(tx: Tx, task_id: UUID, caller: Caller) -> Task:
    tasks, _ = await lock_with_plans(tx, [str(task_id)])
    task = tasks.get(str(task_id))
    if task is None:
        raise NotFound("no such task")
    caller.need_area(task.division)
    return task


async def _record(tx: Tx, task: Task, what: str, caller: Caller, evidence: str | None) -> None:
    now = clock.now()
    answer = Answer("accept", caller.subject, now)._replace(kind=what)  # type: ignore[arg-type]
    await store.append_answer(tx, task.task_id, answer, now, "http", None, evidence)


async def _settled(tx: Tx, result: Moved | Repeated | Refused) -> TaskOut:
    if isinstance(result, Refused):
        raise Conflict("the task cannot be changed like this", code=result.reason)
    if isinstance(result, Repeated):
        return task_out(result.task)
    [moved] = await settle(tx, [result], clock.now())
    return task_out(moved.task)
