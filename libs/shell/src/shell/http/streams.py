"""Server-sent events: HTTP answers that stay open and send events until something ends them.

The server waits for open answers before it stops. So a stream ends when the process gets SIGTERM or SIGINT. It also
ends when the token of its reader expires, and when the reader is gone or too slow.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import Response

from shell import clock
from shell.store.failures import is_unavailable

SEND_SECONDS_MAX: Final = 10.0  # a slower reader is disconnected and connects again
END_SECONDS_MAX: Final = 2.0


def set_on_signals(closing: asyncio.Event) -> None:
    """Set `closing` when the process gets SIGTERM or SIGINT. The earlier handlers, those of the server, run too."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, before: Any = before) -> None:
            loop.call_soon_threadsafe(closing.set)
            if callable(before):
                before(received, frame)

        signal.signal(number, handle)


def closing_of(app: FastAPI) -> asyncio.Event:
    """The event that is set when the process must stop. Without a lifespan (in tests) it is never set."""
    found: asyncio.Event | None = getattr(app.state, "closing", None)
    return found or asyncio.Event()


class EventStream(Response):
    """An answer that sends the items of `parts`. It ends after the last part, when `closing` is set, or at `expires_at`
    (seconds since 1970, real time). It also ends when the reader is gone or needs more than SEND_SECONDS_MAX for a
    part. At the end `parts` is closed."""

    media_type = "text/event-stream"

    def __init__(self, parts: AsyncGenerator[bytes], closing: asyncio.Event, expires_at: float | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._parts = parts
        self._closing = closing
        self._expires_at = expires_at

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        headers = [(k, v) for k, v in self.raw_headers if k != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        sending = asyncio.create_task(self._send_parts(send))
        gone = asyncio.create_task(_until_gone(receive))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait([sending, gone, closing], timeout=self._seconds(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone, closing):
                task.cancel()
            sent, *_ = await asyncio.gather(sending, gone, closing, return_exceptions=True)
        if not isinstance(sent, Exception):
            await _end(send)
        elif not is_unavailable(sent):
            raise sent
        # else the reader is too slow or gone, or a store is away: the answer ends without its last part

    def _seconds(self) -> float | None:
        """Return the seconds until the token expires; None if it does not expire."""
        if self._expires_at is None:
            return None
        return max(0.0, self._expires_at - clock.real_now().timestamp())

    async def _send_parts(self, send: Any) -> None:
        async with aclosing(self._parts) as parts:
            async for part in parts:
                message = {"type": "http.response.body", "body": part, "more_body": True}
                async with asyncio.timeout(SEND_SECONDS_MAX):  # wait_for can lose a cancellation
                    await send(message)


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(send: Any) -> None:
    try:
        async with asyncio.timeout(END_SECONDS_MAX):
            await send({"type": "http.response.body", "body": b""})
    except (TimeoutError, OSError):
        return
