"""The guard of every route: it checks the credential and then reads the body, within limits of bytes and time.

The body of a normal route is read completely before the application runs. So a service parses nothing of a caller
without a credential, and a client that disconnects causes no error in a route. A route that streams its body gets the
parts as they arrive, with the same limits. If a body is not read completely, the answer is sent first. Then the guard
discards the rest, up to a limit. So a client that sends everything before it reads can still read a 401, 403 or 413.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from common.errors import ServiceError, TooLarge, TooSlow
from fastapi import Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from shell import metrics
from shell.access.route_marks import CHECK, LIMIT, OPEN, STREAMED, BodyLimit, Check
from shell.http.answers import GIVES_WAY, Message, Receive, Scope, Send
from shell.settings import Settings
from shell.store.failures import UNAVAILABLE

LENGTH_UNKNOWN: Final = -1
_CLOSE: Final = (b"connection", b"close")


class Rule(NamedTuple):
    """The checks and limits of one route. `route`: None for a path without a route."""

    route: BaseRoute | None
    checks: tuple[Check, ...]
    bytes_max: int | None
    streamed: Callable[[], BodyLimit] | None

    def limit(self, settings: Settings) -> BodyLimit:
        if self.streamed is not None:
            return self.streamed()
        bytes_max = settings.body_bytes_max if self.bytes_max is None else self.bytes_max
        return BodyLimit(bytes_max, settings.body_seconds_max if self.checks else settings.open_body_seconds_max)


class Rules:
    """The rules of all routes. Raises ValueError if a route has neither a check nor `needs_no_credential`."""

    def __init__(self, routes: Sequence[BaseRoute], settings: Settings) -> None:
        smallest = BodyLimit(settings.body_bytes_max, settings.open_body_seconds_max)
        # Only routes of FastAPI read bodies. For files, /docs and unknown paths the guard reads nothing.
        self._unknown = Rule(None, (), None, lambda: smallest)
        self._fixed: dict[tuple[str, str], Rule] = {}
        self._patterns: list[tuple[frozenset[str], Any, Rule]] = []
        for context in iter_route_contexts(routes):
            if isinstance(context.original_route, APIRoute):
                self._add(context)

    def _add(self, context: Any) -> None:
        rule = _rule(context)
        methods = frozenset(context.methods or ())
        if "{" in context.path:
            self._patterns.append((methods, context.path_regex, rule))
            return
        for method in methods:
            if self.find(method, context.path) is self._unknown:  # the first matching route gets the request
                self._fixed[method, context.path] = rule

    def find(self, method: str, path: str) -> Rule:
        """The rule of the route that gets this request."""
        found = self._fixed.get((method, path))
        if found is not None:
            return found
        return next(
            (r for methods, regex, r in self._patterns if method in methods and regex.match(path)), self._unknown
        )


def _rule(context: Any) -> Rule:
    endpoint = context.endpoint
    checks = tuple(_checks(context.dependant))
    if not checks and not getattr(endpoint, OPEN, False):
        raise ValueError(f"{context.path} states no credential: see shell.access.route_marks")
    return Rule(context.original_route, checks, getattr(endpoint, LIMIT, None), getattr(endpoint, STREAMED, None))


def _checks(dependant: Any) -> Iterator[Check]:
    for inner in dependant.dependencies:
        check = getattr(inner.call, CHECK, None)
        if check is not None:
            yield check
        yield from _checks(inner)


class Guard:
    """ASGI middleware that checks the credential of a request with a body, and then reads the body.

    `routes`: all routes of the application."""

    def __init__(self, app: Any, routes: Sequence[BaseRoute], settings: Settings) -> None:
        self._app = app
        self._rules = Rules(routes, settings)
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced, expects = _announced(scope) if scope["type"] == "http" else (None, False)
        if announced is None:  # nothing to read: the route's own dependency checks the credential
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        rule = self._rules.find(scope["method"], path)
        scope[GIVES_WAY] = True
        body = Body(scope, receive, send, rule.limit(self._settings), self._settings, expects=expects)
        with suppress(ClientDisconnect):  # the client closed the connection: no answer, and no error of ours
            try:
                given = await _admit(scope, rule, body, announced)
            except (ServiceError, *UNAVAILABLE) as error:
                scope.setdefault("route", rule.route)  # for the metrics
                answer = await _answer(Request(scope), error)
                await answer(scope, body.receive, body.send)
            else:
                scope[GIVES_WAY] = False
                await self._app(scope, given, body.send)


async def _admit(scope: Scope, rule: Rule, body: "Body", announced: int) -> Receive:
    """Check the credential, then the length, then read the body. Return the `receive` for the application."""
    for check in rule.checks:
        await check(Request(scope))
    scope[GIVES_WAY] = not rule.checks
    body.check_length(announced)
    return body.receive if rule.streamed is not None else await body.read_ahead()


def _announced(scope: Scope) -> tuple[int | None, bool]:
    """Return the length of the body by its header (LENGTH_UNKNOWN for chunks; None without a body), and whether the
    client waits for `100 Continue`."""
    length: int | None = None
    expects = False
    for name, value in scope["headers"]:
        if name == b"content-length" and length is None:
            length = (int(value) or None) if value.isdigit() else LENGTH_UNKNOWN
        elif name == b"transfer-encoding":
            length = LENGTH_UNKNOWN
        elif name == b"expect":
            expects = value.lower() == b"100-continue"
    return length, expects


async def _answer(request: Request, error: Exception) -> Response:
    """Return the answer of the application's handler for this error."""
    handlers: Mapping[Any, Any] = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    found: Response = await handler(request, error)
    return found


class Body:
    """The body of one request, and the answer to it. `answered`: the answer has begun."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit, settings: Settings, *, expects: bool
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit, self._settings = limit, settings
        self._ends_at = asyncio.get_running_loop().time() + limit.seconds_max
        self._size = 0
        self._ended = False  # the last part has arrived, or the client is gone
        self._discards = not expects  # a client that waits for `100 Continue` sends nothing unasked
        self.answered = False

    def check_length(self, announced: int) -> None:
        """Raise TooLarge if the announced length exceeds the limit."""
        if announced > self._limit.bytes_max:
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next part of the body, for a route that streams. Raises TooLarge, TooSlow and ClientDisconnect."""
        if self._ended or self.answered:
            return await self._next()
        pause_seconds_max = self._settings.body_seconds_max
        pause_ends_at = asyncio.get_running_loop().time() + pause_seconds_max
        try:
            async with asyncio.timeout_at(min(self._ends_at, pause_ends_at)):
                message = await self._next()
        except TimeoutError:
            if pause_ends_at < self._ends_at:
                raise self._too_slow(f"no part of the body arrived for {pause_seconds_max:g} seconds") from None
            raise self._too_slow() from None
        self._count(message)
        return message

    async def read_ahead(self) -> Receive:
        """Read the whole body. Returns a `receive` that gives it to the application in one part.

        Raises TooLarge, TooSlow and ClientDisconnect."""
        try:
            async with asyncio.timeout_at(self._ends_at):
                whole = await self._whole()
        except TimeoutError:
            raise self._too_slow() from None
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self._receive()
            given = True
            return {"type": "http.request", "body": whole, "more_body": False}

        return receive

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Before the last part, discard the rest of the body."""
        if message["type"] == "http.response.start":
            self.answered = True
            if not self._ended:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        elif not self._ended and self._discards and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _whole(self) -> bytes:
        first = await self._next()
        self._count(first)
        body = first.get("body", b"")
        if self._ended:
            return bytes(body)
        parts = bytearray(body)  # a list of small parts would take many times their bytes
        while not self._ended:
            message = await self._next()
            self._count(message)
            parts += message.get("body", b"")
        return bytes(parts)

    def _count(self, message: Message) -> None:
        if message["type"] != "http.request":
            raise ClientDisconnect
        self._size += len(message.get("body", b""))
        if self._size > self._limit.bytes_max:
            raise self._too_large()

    async def _next(self) -> Message:
        self._discards = True
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def _discard(self) -> None:
        self._scope[GIVES_WAY] = True
        left = self._settings.discard_bytes_max
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.discard_seconds_max):
                while left > 0 and not self._ended:
                    left -= len((await self._next()).get("body", b""))

    def _too_large(self) -> TooLarge:
        metrics.limited.labels("body_bytes").inc()
        return TooLarge(f"the body holds more than {self._limit.bytes_max} bytes")

    def _too_slow(self, detail: str = "") -> TooSlow:
        """The error after a time limit. `detail`: the limit; without one, that of the whole body."""
        metrics.limited.labels("body_seconds").inc()
        self._discards = False  # the client has used its time
        return TooSlow(detail or f"the body did not arrive within {self._limit.seconds_max:g} seconds")
