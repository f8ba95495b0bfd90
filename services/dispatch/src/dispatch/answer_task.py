"""A provider answers a task over HTTP: accept, decline, check in, check out, fail."""

from typing import Annotated, Any, Final
from uuid import UUID

from common.errors import Conflict, NotAllowed, NotFound
from fastapi import APIRouter, Depends
from pydantic import Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import OwnProvider, scope_of
from shell.http.params import ONE_LINE, Body, Instant
from shell.service import Db
from shell.store.transaction import Tx

from dispatch import store
from dispatch.answering import Given, take_answers
from dispatch.domain.answer import Answer, AnswerKind
from dispatch.domain.task import Refused
from dispatch.views import TaskOut, task_out

router = APIRouter(tags=["answers"])
Visitor = Annotated[Caller, Depends(require("provider", "visitor"))]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such task"},
    409: {"description": "refused; `code` says why"},
}


class AnswerIn(Body):
    """`reason` and `worker` are codes, never names or free text."""

    at: Instant | None = Field(default=None, description="when it happened; now when left out")
    worker: str | None = Field(
        default=None, max_length=64, pattern=ONE_LINE, description="the provider's own code of the visitor"
    )
    reason: str | None = Field(
        default=None, max_length=40, pattern=ONE_LINE, description="decline, fail: a code such as `no_staff`"
    )
    outcome: str | None = Field(
        default=None, max_length=20, pattern=ONE_LINE, description="check-out: seen (default), not_found or referred"
    )


async def _answer(db: Db, caller: Caller, task_id: UUID, kind: AnswerKind, body: AnswerIn | None) -> TaskOut:
    scope = scope_of(caller)
    if not isinstance(scope, OwnProvider):
        raise NotAllowed("the token names no provider", code="provider_required")
    body, now = body or AnswerIn(), clock.now()
    answer = Answer(kind, scope.provider, body.at or now, body.worker, body.reason, body.outcome)
    async with db.transaction() as tx:
        if scope.division is not None:  # a visitor; the area of a task never changes, so it needs no lock
            await _need_inside(tx, task_id, scope)
        [(result, task)] = await take_answers(tx, [Given(str(task_id), answer)], "http", now)
    if task is None:
        raise NotFound("no such task")
    if isinstance(result, Refused):
        if result.reason == "not_yours":
            raise NotAllowed("the task is not yours", code="not_yours")
        raise Conflict("the task cannot take this answer", code=result.reason)
    return task_out(task)


async def _need_inside(tx: Tx, task_id: UUID, scope: OwnProvider) -> None:
    """Raises NotAllowed for a task outside the visitor's area."""
    row = await store.show_task(tx.sql, str(task_id))
    if row is not None and not scope.covers(row["division"]):
        raise NotAllowed("the task is not yours", code="not_yours")


@router.post("/v1/tasks/{task_id}/accept", responses=_PROBLEMS)
async def accept(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Take on an offered task."""
    return await _answer(db, caller, task_id, "accept", body)


@router.post("/v1/tasks/{task_id}/decline", responses=_PROBLEMS)
async def decline(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Turn an offer down; it goes to the next provider."""
    return await _answer(db, caller, task_id, "decline", body)


@router.post("/v1/tasks/{task_id}/check-in", responses=_PROBLEMS)
async def check_in(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """The visit begins. On a day within the window."""
    return await _answer(db, caller, task_id, "check_in", body)


@router.post("/v1/tasks/{task_id}/check-out", responses=_PROBLEMS)
async def check_out(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """The visit has ended."""
    return await _answer(db, caller, task_id, "check_out", body)


@router.post("/v1/tasks/{task_id}/fail", responses=_PROBLEMS)
async def fail(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """The visit cannot be made; another one is dispatched."""
    return await _answer(db, caller, task_id, "fail", body)
