"""Security headers of every answer. A page states its own Content-Security-Policy and keeps it."""

from collections.abc import Mapping
from typing import Any, Final

from shell.http.answers import Message, Receive, Scope, Send

# For answers that are no page: a browser that opens one runs nothing and loads nothing.
NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


class SecurityHeaders:
    """ASGI middleware that adds the headers which an answer lacks.

    `policy`: the Content-Security-Policy. `https`: the address that users enter is HTTPS, also if a proxy in front of
    this process ends the encryption. Then, and for a request that came by HTTPS, the answer tells the browser to use
    HTTPS only. A BaseHTTPMiddleware would delay the messages of a stream.
    """

    def __init__(self, app: Any, policy: str = NO_PAGE, https: bool = False) -> None:
        self._app = app
        self._headers = _encoded({"Content-Security-Policy": policy, **_ALWAYS})
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [header for header in self._headers if header[0] not in present]
                if self._https or scope["scheme"] == "https":
                    headers.append(_HSTS)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, secured)
