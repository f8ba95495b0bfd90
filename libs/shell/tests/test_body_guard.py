"""The guard checks the credential first, then limits the bytes and the time of a body."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from common.errors import Unavailable
from fastapi import Body, Depends, FastAPI, Request
from prometheus_client import REGISTRY
from shell.access.auth import AnyCaller, Caller, issue_token, require
from shell.access.route_marks import BodyLimit, checks_credential, limits_body, needs_no_credential, streams_body
from shell.http.answers import Watch, install_problems
from shell.http.body_guard import Guard, Rules
from shell.settings import Settings

MIB = 1024 * 1024
LIMITS = Settings(body_bytes_max=1_000, body_seconds_max=30, discard_bytes_max=10_000, discard_seconds_max=30)
HANG_UP = object()
SILENCE = object()
Json = Annotated[Any, Body()]


async def _broken(request: Request) -> None:
    raise Unavailable("the register is away")


def application(limits: Settings = LIMITS) -> FastAPI:
    app = FastAPI()
    app.state.reached = []
    install_problems(app)

    @app.post("/small")
    async def small(body: Json, caller: AnyCaller) -> None:
        app.state.reached.append(body)

    @app.post("/officers")
    async def officers(body: Json, caller: Annotated[Caller, Depends(require("officer"))]) -> None:
        app.state.reached.append(body)

    @app.post("/large")
    @limits_body(2 * MIB)
    async def large(body: Json, caller: AnyCaller) -> None:
        app.state.reached.append(len(body))

    @app.post("/open")
    @needs_no_credential
    @limits_body(100)
    async def open_to_all(request: Request) -> None:
        app.state.reached.append(await request.body())

    @app.post("/stream")
    @streams_body(lambda: BodyLimit(5_000, 30))
    async def stream(request: Request, caller: AnyCaller) -> int:
        size = 0
        async for part in request.stream():
            size += len(part)
            app.state.reached.append(size)
        return size

    @app.post("/slow")
    @streams_body(lambda: BodyLimit(5_000, 0.2))
    async def slow(request: Request, caller: AnyCaller) -> None:
        app.state.reached.append(await request.body())

    @app.post("/unread")
    @streams_body(lambda: BodyLimit(5_000, 30))
    async def unread(caller: AnyCaller) -> None:
        app.state.reached.append("unread")

    @app.post("/broken")
    async def broken(body: Json, caller: Annotated[None, Depends(checks_credential(_broken))]) -> None:
        app.state.reached.append(body)

    app.add_middleware(Guard, routes=app.routes, settings=limits)
    app.add_middleware(Watch, service="guarded")
    return app


class Exchange:
    """One request. `order` lists in their order the parts that were read (bytes) and the messages that were sent."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = list(parts)
        self.order: list[tuple[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        part = self._parts.pop(0) if self._parts else HANG_UP
        if part is SILENCE:
            await asyncio.Event().wait()
        if part is HANG_UP:
            return {"type": "http.disconnect"}
        self.order.append(("read", len(part)))
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.order.append((message["type"], message))

    @property
    def start(self) -> dict[str, Any]:
        (found,) = [message for kind, message in self.order if kind == "http.response.start"]
        return dict(found)

    @property
    def status(self) -> int:
        return int(self.start["status"])

    @property
    def closes(self) -> bool:
        return (b"connection", b"close") in self.start["headers"]

    @property
    def detail(self) -> str:
        body = b"".join(message["body"] for kind, message in self.order if kind == "http.response.body")
        return str(json.loads(body)["detail"])

    def read(self) -> int:
        return sum(size for kind, size in self.order if kind == "read")


async def post(
    app: FastAPI, path: str, *parts: Any, role: Any = None, length: int | None = None, expect: bool = False
) -> Exchange:
    """`length`: of the header; without one the body comes in chunks."""
    headers = [(b"content-type", b"application/json")]
    headers.append((b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length))
    if role is not None:
        headers.append((b"authorization", f"Bearer {issue_token(role, division='530302')}".encode()))
    if expect:
        headers.append((b"expect", b"100-continue"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }
    exchange = Exchange(parts)
    async with asyncio.timeout(20):
        await app(scope, exchange.receive, exchange.send)  # type: ignore[arg-type]
    return exchange


def counted(route: str, status: int) -> float:
    labels = {"service": "guarded", "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("shouwang_request_seconds_count", labels) or 0.0


def ended_by(limit: str) -> float:
    return REGISTRY.get_sample_value("shouwang_limited_total", {"limit": limit}) or 0.0


def test_a_route_that_states_no_credential_is_refused_at_the_start() -> None:
    app = FastAPI()

    @app.get("/v1/everything")
    async def everything() -> None:
        """Nobody said who may call this."""

    with pytest.raises(ValueError, match="/v1/everything states no credential"):
        Rules(app.routes, LIMITS)


async def test_without_a_credential_nothing_is_read_before_the_answer() -> None:
    app = application()
    exchange = await post(app, "/small", b"[{},{},", b"not json")
    kinds = [kind for kind, _ in exchange.order]
    assert exchange.status == 401
    assert kinds.index("http.response.start") < kinds.index("read")
    assert not app.state.reached
    assert counted("/small", 401) == 1


async def test_a_role_that_may_not_call_is_refused_before_its_body_is_parsed() -> None:
    app = application()
    assert (await post(app, "/officers", b"not json", role="resident")).status == 403
    assert (await post(app, "/officers", b"not json", role="officer")).status == 422


async def test_a_check_that_needs_a_store_answers_503_while_the_store_is_unavailable() -> None:
    exchange = await post(application(), "/broken", b"{}")
    assert exchange.status == 503
    assert (b"retry-after", b"5") in exchange.start["headers"]


@pytest.mark.parametrize("length", [None, 1_001])
async def test_a_body_over_the_limit_is_refused_by_its_length_or_by_its_bytes(length: int | None) -> None:
    app, before = application(), ended_by("body_bytes")
    exchange = await post(app, "/small", *[b"1" * 77] * 13, role="officer", length=length)
    assert exchange.status == 413
    assert not app.state.reached
    assert ended_by("body_bytes") == before + 1


async def test_a_body_up_to_the_limit_of_its_route_arrives_whole() -> None:
    app = application()
    number = b"1" * 1_000
    assert (await post(app, "/small", number[:1], number[1:], role="officer")).status == 200
    text = b'"' + b"x" * MIB + b'"'
    exchange = await post(app, "/large", text[:9], text[9:500], text[500:], role="officer", length=len(text))
    assert exchange.status == 200
    assert not exchange.closes
    assert app.state.reached == [int(number), MIB]
    assert (await post(app, "/open", b"a" * 101)).status == 413
    assert (await post(app, "/open", b"a" * 100)).status == 200


async def test_a_streamed_body_is_counted_while_it_is_read() -> None:
    app = application()
    assert (await post(app, "/stream", b"x" * 2_000, b"x" * 3_000, role="officer")).status == 200
    app.state.reached.clear()
    exchange = await post(app, "/stream", *[b"x" * 1_000] * 8, role="officer")
    assert exchange.status == 413
    assert max(app.state.reached) == 5_000


@pytest.mark.parametrize(
    ("path", "setting"),
    [("/small", "body_seconds_max"), ("/stream", "body_seconds_max"), ("/open", "open_body_seconds_max")],
)
async def test_a_body_that_does_not_arrive_in_time_is_answered_408(path: str, setting: str) -> None:
    app, before = application(LIMITS.model_copy(update={setting: 0.05})), ended_by("body_seconds")
    exchange = await post(app, path, b"1", SILENCE, role="officer")
    assert exchange.status == 408
    assert exchange.closes
    assert ended_by("body_seconds") == before + 1


@pytest.mark.parametrize(
    ("path", "pause_seconds_max", "detail"),
    [
        ("/stream", 0.05, "no part of the body arrived for 0.05 seconds"),
        ("/slow", 30, "the body did not arrive within 0.2 seconds"),
    ],
)
async def test_a_streamed_body_that_does_not_arrive_in_time_is_answered_with_the_limit_that_ended_it(
    path: str, pause_seconds_max: float, detail: str
) -> None:
    app = application(LIMITS.model_copy(update={"body_seconds_max": pause_seconds_max}))
    exchange = await post(app, path, b"1", SILENCE, role="officer")
    assert (exchange.status, exchange.detail) == (408, detail)


@pytest.mark.parametrize("path", ["/small", "/stream"])
async def test_a_client_that_hangs_up_is_no_error(path: str) -> None:
    app, gone, failed = application(), counted(path, 499) if path == "/small" else 0, counted(path, 500)
    exchange = await post(app, path, b"1", HANG_UP, role="officer")
    assert [kind for kind, _ in exchange.order] == ["read"]
    label = "unknown" if path == "/small" else path  # the application was not reached
    assert counted(label, 499) > gone
    assert counted(path, 500) == failed


async def test_an_early_answer_is_sent_before_a_bounded_rest_is_discarded() -> None:
    exchange = await post(application(), "/small", *[b"x" * 3_000] * 10, length=30_000)
    assert (exchange.status, exchange.closes) == (401, True)
    kinds = [kind for kind, _ in exchange.order]
    assert kinds == ["http.response.start", "http.response.body", *["read"] * 4, "http.response.body"]
    assert exchange.read() == 12_000  # the first part over 10,000 bytes is the last
    bodies = [message for kind, message in exchange.order if kind == "http.response.body"]
    assert [bool(message.get("more_body")) for message in bodies] == [True, False]


async def test_an_endpoint_that_does_not_read_its_body_has_the_rest_discarded() -> None:
    exchange = await post(application(), "/unread", b"x" * 3_000, b"x" * 1_000, role="officer")
    assert (exchange.status, exchange.read(), exchange.closes) == (200, 4_000, True)


async def test_a_client_that_waits_for_100_continue_is_answered_and_sends_nothing() -> None:
    exchange = await post(application(), "/small", SILENCE, length=500, expect=True)
    assert (exchange.status, exchange.read(), exchange.closes) == (401, 0, True)


async def test_a_path_without_a_route_gets_the_smallest_limit() -> None:
    app = application()
    assert (await post(app, "/nowhere", b"x" * 500, length=500)).status == 404
    assert (await post(app, "/nowhere", b"x" * 1_001, length=1_001)).status == 413


def test_the_rule_is_that_of_the_route_which_gets_the_request() -> None:
    app = FastAPI()

    @app.post("/v1/things/{name}")
    @needs_no_credential
    async def by_name(name: str) -> None: ...

    @app.post("/v1/things/own")
    @needs_no_credential
    @limits_body(5)
    async def hidden() -> None: ...

    @app.put("/v1/things/own")
    @needs_no_credential
    @limits_body(7)
    async def other_method() -> None: ...

    rules = Rules(app.routes, LIMITS)
    assert rules.find("POST", "/v1/things/own").limit(LIMITS).bytes_max == LIMITS.body_bytes_max
    assert rules.find("PUT", "/v1/things/own").limit(LIMITS).bytes_max == 7
    assert rules.find("DELETE", "/v1/things/own").route is None
