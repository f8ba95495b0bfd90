"""Answers that are the same in every service: problems, health, metrics, parked records, page limits."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from common import metrics
from common.auth import Caller, require
from common.dispatching import dispatch
from common.errors import (
    UNAVAILABLE,
    UNSTORABLE,
    Conflict,
    Problem,
    ServiceError,
    Unavailable,
    is_unavailable,
)
from common.openapi import PROBLEM_JSON
from common.parking import take_parked
from common.route_marks import needs_no_credential

if TYPE_CHECKING:
    from common.service import Service

PAGE_MAX: Final = 500
FAULTS_MAX: Final = 100
POINTER_PART_MAX: Final = 100
_UNSTORABLE_TEXT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
log = logging.getLogger(__name__)
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

CLIENT_GONE: Final = 499  # only in metrics: the client hung up before there was an answer

# In the scope of a request: True while its connection may be ended to make room for another one. `common.body_guard`
# sets it while it reads for a caller without a credential, and while it discards a body after the answer.
GIVES_WAY: Final = "shouwang.gives_way"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def problem(
    status: int,
    code: str,
    detail: str,
    problems: tuple[Problem, ...] = (),
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    body: dict[str, Any] = {
        "type": f"urn:shouwang:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    if problems:
        body["problems"] = [p.model_dump() for p in problems]
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM_JSON)


def install_problems(app: FastAPI) -> None:
    @app.exception_handler(ServiceError)
    async def on_service_error(request: Request, error: ServiceError) -> Response:
        return problem(error.status, error.code, error.detail, error.problems, error.headers, **error.extra)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        faults = tuple(
            # Never the input itself: it may name a person.
            Problem(pointer=pointer_to(fault["loc"]), code=str(fault["type"]), detail=str(fault["msg"]))
            for fault in error.errors()[:FAULTS_MAX]
        )
        return problem(422, "malformed", "the request does not fit its schema", faults)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
        return problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))

    async def on_unstorable(request: Request, error: Exception) -> Response:
        # Every parameter should have a bound that refuses such a value earlier, so an operator must see the route.
        log.warning("%s at %s: a parameter lacks a bound", type(error).__name__, _route_of(request.scope))
        return problem(422, "malformed", "a value lies outside the range of its type", tuple(_unstorable(request)))

    for kind in UNSTORABLE:
        app.add_exception_handler(kind, on_unstorable)

    async def on_unavailable(request: Request, error: Exception) -> Response:
        return problem(503, "unavailable", "a store or peer is away; try again", headers={"Retry-After": "5"})

    for kind in UNAVAILABLE:  # each by its name: what is left to the last handler is logged with its trace, as a bug
        app.add_exception_handler(kind, on_unavailable)

    @app.exception_handler(Exception)
    async def on_anything(request: Request, error: Exception) -> Response:
        return problem(500, "internal", "this is our mistake and has been logged")


def pointer_to(parts: Sequence[str | int]) -> str:
    """The RFC 6901 pointer to a place in a request. A long key is cut, and a lone surrogate in it is replaced."""
    shown = (str(part)[:POINTER_PART_MAX].encode("utf-8", "replace").decode() for part in parts)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in shown)


def _unstorable(request: Request) -> Iterator[Problem]:
    """Parameters of the path and the query with characters that PostgreSQL does not store."""
    given = [("path", name, str(value)) for name, value in request.path_params.items()]
    given += [("query", name, value) for name, value in request.query_params.multi_items()]
    for place, name, value in given[:FAULTS_MAX]:
        if _UNSTORABLE_TEXT.search(value):
            yield Problem(pointer=pointer_to((place, name)), code="control_character", detail="a control character")


def _route_of(scope: Scope) -> str:
    """The pattern of the route, never the path: paths hold ids."""
    return str(getattr(scope.get("route"), "path", "unknown"))


def platform_routes(service: "Service") -> APIRouter:
    router = APIRouter(tags=["platform"])

    @router.get("/healthz")
    @needs_no_credential
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/readyz")
    @needs_no_credential
    async def readyz() -> JSONResponse:
        """503 only while the service's own database is away: then it can take no request. A part that does not move
        is a reason in the body, because a service that lost its reader must go on taking what is sent to it."""
        trouble, status = service.trouble(), 200
        try:
            async with service.database.reading() as connection:
                age = await connection.fetchval(
                    """SELECT coalesce((SELECT extract(epoch FROM now() - created_at) FROM outbox
                                        ORDER BY seq LIMIT 1), 0)"""
                )
                metrics.outbox_depth.labels(service.name).set(float(age))
        except Exception as error:  # noqa: BLE001 - told to the prober
            trouble.append(f"database: {type(error).__name__}")
            status = 503
        return JSONResponse({"ready": not trouble, "trouble": trouble}, status)

    @router.get("/metrics", include_in_schema=False)
    @needs_no_credential
    async def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _parked_routes(router, service)
    return router


def _parked_routes(router: APIRouter, service: "Service") -> None:
    Operator = Annotated[Caller, Depends(require("admin"))]

    @router.get("/v1/parked")
    async def list_parked(caller: Operator, limit: Limit = 100, after: UUID | None = None) -> dict[str, Any]:
        """What could not be processed and still waits. Never its content."""
        async with service.database.reading() as connection:
            rows = await connection.fetch(
                """SELECT parked_id, consumer, topic, part, "offset", reason, error_type, parked_at FROM parked
                   WHERE state = 'parked' AND ($1::uuid IS NULL OR parked_id > $1) ORDER BY parked_id LIMIT $2""",
                str(after) if after else None,
                limit,
            )
        page = [dict(row) for row in rows]
        return {"parked": page, "next": page[-1]["parked_id"] if len(page) == limit else None}

    @router.post("/v1/parked/{parked_id}/replay")
    async def replay_parked(parked_id: UUID, caller: Operator) -> dict[str, str]:
        """Process the record again, as a new generation. If it fails again it stays parked and says why."""
        try:
            async with service.database.transaction() as tx:
                record, consumer, generation = await take_parked(tx, str(parked_id))
                await dispatch(tx, consumer, service.handlers, [record], generation)
                state = await tx.sql.fetchval("SELECT state FROM parked WHERE parked_id = $1", str(parked_id))
        except ServiceError:
            raise
        except Exception as error:
            if is_unavailable(error):
                raise
            raise Conflict(f"it failed again: {type(error).__name__}", code="failed_again") from error
        return {"parked_id": str(parked_id), "state": state}


class Watch:
    """Counts and times requests by route pattern (never by path: paths hold ids).

    A request without an answer counts as 499 if the client hung up, and as 500 if the application raised.
    """

    def __init__(self, app: Any, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), CLIENT_GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except BaseException:
            status = 500 if status == CLIENT_GONE else status
            raise
        finally:
            metrics.requests.labels(self.service, _route_of(scope), str(status)).observe(time.monotonic() - started)


__all__ = ["Limit", "Unavailable", "install_problems", "platform_routes", "pointer_to", "problem"]
