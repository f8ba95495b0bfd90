"""An officer excuses a visit that was not possible, or gives a task to another provider."""

from typing import Annotated
from uuid import UUID

from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends
from pydantic import Field
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.params import Body, Uscc
from shell.service import Db
from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import lock_with_plans, save_changes
from dispatch.domain.task import (
    Change,
    ExcuseReason,
    Refused,
    Repeated,
    Task,
    decide_excuse,
    decide_reassign,
    offered,
)
from dispatch.parameters import visit_rules
from dispatch.shapes import TaskOut, task_out

router = APIRouter(tags=["tasks"])
Officer = Annotated[Caller, Depends(require("officer"))]


class ExcuseIn(Body):
    reason: ExcuseReason
    evidence: str = Field(
        pattern=r"^[A-Za-z0-9:_./-]{1,100}$", description="a document number or event id, never a name or free text"
    )


class ReassignIn(Body):
    provider: Uscc | None = Field(default=None, description="credit code; default: the next suitable provider")


@router.post("/v1/tasks/{task_id}/excuse")
async def excuse(task_id: UUID, body: ExcuseIn, db: Db, caller: Officer) -> TaskOut:
    """Record that no visit was possible, with a reason from the closed list and with evidence.

    It is possible before a visit begins, and after a missed or failed one.
    """
    async with db.transaction() as tx:
        task = await _locked(tx, task_id, caller)
        result = decide_excuse(task, body.reason)
        if isinstance(result, Change):
            await _record(tx, task, f"excuse_{body.reason}", caller, body.evidence)
            await _audit(tx, caller, "excuse", task)
        return await _saved(tx, result)


@router.post("/v1/tasks/{task_id}/reassign")
async def reassign(task_id: UUID, body: ReassignIn, db: Db, caller: Officer) -> TaskOut:
    """Withdraw the task from its provider and offer it to the named or the next provider.

    The count of offers starts again. Without a next provider the task stays unplaced.
    """
    async with db.transaction() as tx:
        task = await _locked(tx, task_id, caller)
        result = decide_reassign(task)
        if isinstance(result, Change):
            if body.provider is not None:
                result = await _offered_to(tx, result, body.provider)
            await _record(tx, task, "reassign", caller)
            await _audit(tx, caller, "reassign", task)
        return await _saved(tx, result)


async def _offered_to(tx: Tx, change: Change, provider: str) -> Change:
    """Offer the task to the named provider. Raises Conflict if it does not serve the item in the area of the task."""
    if not await store.provider_serves(tx, provider, change.task.item, change.task.division):
        raise Conflict("no such provider for this item and area", code="provider_unsuitable")
    return offered(change, provider, clock.now(), visit_rules())


async def _locked(tx: Tx, task_id: UUID, caller: Caller) -> Task:
    """Lock a task. Raises NotFound for an unknown task, and NotAllowed for one outside the caller's area."""
    tasks, _ = await lock_with_plans(tx, [str(task_id)])
    task = tasks.get(str(task_id))
    if task is None:
        raise NotFound("no such task")
    caller.need_area(task.division)
    return task


async def _record(tx: Tx, task: Task, decision: str, caller: Caller, evidence: str | None = None) -> None:
    now = clock.now()
    record = store.TaskRecord(task.task_id, caller.user, decision, now, now, "http", evidence)
    await store.append_records(tx, [record])


async def _audit(tx: Tx, caller: Caller, decision: str, task: Task) -> None:
    await audits.append(tx, caller, act="decide", purpose=decision, cause=task.task_id, person_ids=[task.person_id])


async def _saved(tx: Tx, result: Change | Repeated | Refused) -> TaskOut:
    if isinstance(result, Refused):
        raise Conflict("the state of the task does not allow this decision", code=result.reason)
    if isinstance(result, Repeated):
        return task_out(result.task)
    [saved] = await save_changes(tx, [result], clock.now())
    return task_out(saved.task)
