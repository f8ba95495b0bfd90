"""Parts of HTTP that all services share: error answers (problems), page limits, and metrics of requests."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Annotated, Any, Final

from common.errors import Problem, ServiceError
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shell import metrics
from shell.http.openapi import PROBLEM_JSON
from shell.store.failures import UNAVAILABLE, UNSTORABLE

PAGE_MAX: Final = 500
FAULTS_MAX: Final = 100
POINTER_PART_MAX: Final = 100
_UNSTORABLE_TEXT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
log = logging.getLogger(__name__)
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

CLIENT_GONE: Final = 499  # only in metrics: the client closed the connection before the answer

# Key in the scope of a request: True while its connection may be ended to make room for another one.
# `shell.http.body_guard` sets it while it reads a body without a credential, and while it discards a body after the
# answer.
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
    """Return an error answer (RFC 9457). `extra`: further members of the body."""
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
    """Let the application answer every error as a problem."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    for kind in UNSTORABLE:
        app.add_exception_handler(kind, _on_unstorable)
    for kind in UNAVAILABLE:  # each by its name: the handler of Exception logs the error as a bug
        app.add_exception_handler(kind, _on_unavailable)
    app.add_exception_handler(Exception, _on_bug)


async def _on_service_error(request: Request, error: Any) -> Response:
    return problem(error.status, error.code, error.detail, error.problems, error.headers, **error.extra)


async def _on_invalid(request: Request, error: Any) -> Response:
    """Answer 422 with the faults of a request. The answer never holds the input itself, which may name a person."""
    faults = tuple(
        Problem(pointer=pointer_to(fault["loc"]), code=str(fault["type"]), detail=str(fault["msg"]))
        for fault in error.errors()[:FAULTS_MAX]
    )
    return problem(422, "malformed", "the request does not fit its schema", faults)


async def _on_http_error(request: Request, error: Any) -> Response:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    return problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


async def _on_unstorable(request: Request, error: Exception) -> Response:
    """Answer 422 for a value that PostgreSQL cannot store. A bound of the parameter should have rejected the value
    earlier, so the log names the route."""
    log.warning("%s at %s: a parameter lacks a bound", type(error).__name__, _route_of(request.scope))
    return problem(422, "malformed", "a value lies outside the range of its type", tuple(_unstorable(request)))


async def _on_unavailable(request: Request, error: Exception) -> Response:
    return problem(503, "unavailable", "a store or peer is away; try again", headers={"Retry-After": "5"})


async def _on_bug(request: Request, error: Exception) -> Response:
    return problem(500, "internal", "this is our mistake and has been logged")


def pointer_to(parts: Sequence[str | int]) -> str:
    """The pointer (RFC 6901) to a place in a request. Long keys are cut, and lone surrogates are replaced."""
    shown = (str(part)[:POINTER_PART_MAX].encode("utf-8", "replace").decode() for part in parts)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in shown)


def _unstorable(request: Request) -> Iterator[Problem]:
    """Yield a problem per parameter of path and query that holds a control character or a lone surrogate."""
    given = [("path", name, str(value)) for name, value in request.path_params.items()]
    given += [("query", name, value) for name, value in request.query_params.multi_items()]
    for place, name, value in given[:FAULTS_MAX]:
        if _UNSTORABLE_TEXT.search(value):
            yield Problem(pointer=pointer_to((place, name)), code="control_character", detail="a control character")


def _route_of(scope: Scope) -> str:
    """Return the pattern of the route, such as `/v1/tasks/{task_id}`. The path of the request holds ids instead."""
    return str(getattr(scope.get("route"), "path", "unknown"))


class Watch:
    """Middleware: counts requests and their seconds per pattern of a route.

    A request without an answer counts as 499 if the client closed the connection, and as 500 if the application raised.
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
