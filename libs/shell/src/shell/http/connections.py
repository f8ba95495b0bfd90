"""A protocol for uvicorn that ends HTTP connections above a limit: slow, silent, with a large header, or too many.

Start uvicorn with `--http shell.http.connections:LimitedHttp`. uvicorn itself limits neither the time nor the size of a
header (decision 39). `shouwang_limited{limit=…}` counts the connections that a limit ended: `header_seconds`,
`header_bytes`, `connections`, `write_seconds`. The limits are settings.
"""

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shell import metrics
from shell.http.answers import GIVES_WAY, problem
from shell.http.openapi import PROBLEM_JSON
from shell.settings import settings


def _wire(status: int, code: str, detail: str) -> bytes:
    """Return the bytes of a whole HTTP answer that tells the client to close the connection."""
    body = bytes(problem(status, code, detail).body)
    head = f"content-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body


_ANSWERS: Final = {
    "header_seconds": _wire(408, "too_slow", "the header did not arrive in time"),
    "header_bytes": _wire(431, "header_too_large", "the request line and its header are too large"),
    "connections": _wire(503, "unavailable", "too many connections; try again"),
}


class _HeaderTooLarge(Exception):
    pass


class _Dropped(list[tuple[bytes, bytes]]):
    """A list that stays empty. It replaces the list of header fields after the header, so that trailers of a chunked
    body are not kept."""

    def append(self, item: tuple[bytes, bytes]) -> None:
        pass


_DROPPED: Final = _Dropped()


class LimitedHttp(HttpToolsProtocol):
    """One connection. It *waits* while no request is in progress on it.

    If a new connection exceeds the limit, the connection that waits longest is ended. If none waits, a connection with
    a request that gives way is ended (see `GIVES_WAY`). If there is none, the new connection is ended."""

    waiting: ClassVar[dict["LimitedHttp", None]] = {}  # longest wait first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._unused_bytes = 0  # received since the last byte of a body, or since the last complete header
        self._settings = settings()
        if len(self.connections) > self._settings.connections_max:
            oldest = next(iter(self.waiting), None) or self._giving_way()
            if oldest is None:
                transport.write(_ANSWERS["connections"])
                self._end("connections")
                return
            oldest._end("connections")
        self.waiting[self] = None
        self._arm("header_seconds", self._settings.header_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        for limit in tuple(self._timers):
            self._disarm(limit)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unused_bytes > self._settings.header_bytes_max:
            self._end("header_bytes")
        elif self in self.waiting and "header_seconds" not in self._timers:  # the first bytes of the next header
            self._arm("header_seconds", self._settings.header_seconds_max)

    def on_headers_complete(self) -> None:
        header_bytes_max = self._settings.header_bytes_max
        if self._unused_bytes > header_bytes_max and self._header_bytes() > header_bytes_max:
            raise _HeaderTooLarge
        self._unused_bytes = 0
        self.waiting.pop(self, None)
        self._disarm("header_seconds")
        super().on_headers_complete()
        self.headers = _DROPPED

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser rejects. It also rejects a header that is too large.

        If an earlier request is in progress, a header that is too large ends the connection without an answer. The
        client would take the answer for that of the earlier request."""
        if self._unused_bytes > self._settings.header_bytes_max:
            self._end("header_bytes")
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._arm("write_seconds", self._settings.write_seconds_max)
        elif self.cycle.response_complete:
            self.waiting[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._arm("write_seconds", self._settings.write_seconds_max)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._disarm("write_seconds")
        if self.transport.is_closing():
            self._arm("write_seconds", self._settings.write_seconds_max)

    def _giving_way(self) -> "LimitedHttp | None":
        """Return a connection whose request may be ended (see `GIVES_WAY`), or None."""
        for connection in self.connections:
            if not isinstance(connection, LimitedHttp):
                continue
            cycle = connection.cycle
            if cycle is not None and not cycle.response_complete and cycle.scope.get(GIVES_WAY):
                return connection
        return None

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _arm(self, limit: str, seconds: float) -> None:
        self._disarm(limit)
        self._timers[limit] = self.loop.call_later(seconds, self._end, limit)

    def _disarm(self, limit: str) -> None:
        timer = self._timers.pop(limit, None)
        if timer is not None:
            timer.cancel()

    def _end(self, limit: str) -> None:
        """End the connection, and count it under `limit`. Without a request in progress, the client gets an answer if
        its header has begun."""
        metrics.limited.labels(limit).inc()
        self._disarm("header_seconds")
        in_progress = self.cycle is not None and not self.cycle.response_complete
        self.waiting.pop(self, None)
        self.connections.discard(self)
        if in_progress or limit not in _ANSWERS:
            self.transport.abort()
            return
        if self._unused_bytes:
            self.transport.write(_ANSWERS[limit])
        self.transport.close()
