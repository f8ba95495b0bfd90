"""A provider or its visitor answers a task over HTTP: accept, decline, check in, check out, fail."""

from typing import Annotated, Any, Final
from uuid import UUID

from common.errors import Conflict, NotAllowed, NotFound, ServiceError
from fastapi import APIRouter, Depends
from pydantic import Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import OwnProvider, scope_of
from shell.http.params import ONE_LINE, Body, Instant
from shell.service import Db
from shell.store.transaction import Tx

from dispatch import store
from dispatch.answers import TaskAnswer, apply_answers
from dispatch.domain.answers import Answer, AnswerKind
from dispatch.domain.task import Refused
from dispatch.shapes import TaskOut, task_out

router = APIRouter(tags=["answers"])
Visitor = Annotated[Caller, Depends(require("provider", "visitor"))]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such task"},
    409: {"description": "refused; `code` is the reason"},
}


class AnswerIn(Body):
    """The body of an answer to a task. `reason` and `worker` are codes, never names or free text."""

    at: Instant | None = Field(default=None, description="the instant of the step; default: now")
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
    scope = _own_scope(caller)
    body, now = body or AnswerIn(), clock.now()
    answer = Answer(kind, scope.provider, body.at or now, body.worker, body.reason, body.outcome)
    async with db.transaction() as tx:
        if scope.division is not None:  # a visitor; the area of a task never changes, so no lock is needed
            await _need_inside(tx, task_id, scope)
        [answered] = await apply_answers(tx, [TaskAnswer(str(task_id), answer)], "http", now)
    if answered.task is None:
        raise NotFound("no such task")
    if isinstance(answered.result, Refused):
        raise _problem(answered.result)
    return task_out(answered.task)


def _own_scope(caller: Caller) -> OwnProvider:
    """Return the caller's scope, which is one provider. Raises NotAllowed for a token without a provider."""
    scope = scope_of(caller)
    if not isinstance(scope, OwnProvider):
        raise NotAllowed("the token names no provider", code="provider_required")
    return scope


async def _need_inside(tx: Tx, task_id: UUID, scope: OwnProvider) -> None:
    """Check the area of a task. Raises NotAllowed for a known task outside the visitor's area."""
    stored = await store.load_task(tx.sql, str(task_id))
    if stored is not None and not scope.covers(stored.task.division):
        raise NotAllowed("the task is not yours", code="not_yours")


def _problem(refused: Refused) -> ServiceError:
    if refused.reason == "not_yours":
        return NotAllowed("the task is not yours", code="not_yours")
    return Conflict("the state of the task does not allow this answer", code=refused.reason)


@router.post("/v1/tasks/{task_id}/accept", responses=_PROBLEMS)
async def accept(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Accept an offered task."""
    return await _answer(db, caller, task_id, "accept", body)


@router.post("/v1/tasks/{task_id}/decline", responses=_PROBLEMS)
async def decline(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Decline an offer. The next suitable provider receives an offer, if there is one and the limit permits it."""
    return await _answer(db, caller, task_id, "decline", body)


@router.post("/v1/tasks/{task_id}/check-in", responses=_PROBLEMS)
async def check_in(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Record the begin of a visit to an accepted task. The day of `at` must lie within the task's window."""
    return await _answer(db, caller, task_id, "check_in", body)


@router.post("/v1/tasks/{task_id}/check-out", responses=_PROBLEMS)
async def check_out(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Record the end of a visit, which must not be before its begin."""
    return await _answer(db, caller, task_id, "check_out", body)


@router.post("/v1/tasks/{task_id}/fail", responses=_PROBLEMS)
async def fail(task_id: UUID, db: Db, caller: Visitor, body: AnswerIn | None = None) -> TaskOut:
    """Record that an accepted or begun visit is not possible. Another task follows, up to a limit, while the person is
    entitled to visits or must be checked."""
    return await _answer(db, caller, task_id, "fail", body)
