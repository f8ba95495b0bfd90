"""Render pages from the templates of this package, and add security headers that block all foreign content."""

from collections.abc import MutableMapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Final

SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SECURITY: Final = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]


@cache
def _template(name: str) -> Template:
    return Template(files("console").joinpath("templates", name).read_text(encoding="utf-8"))


def render(name: str, **values: str) -> str:
    """Return the page of a template with `values`. They are HTML: the caller escapes values from outside."""
    return _template(name).substitute(values)


class Secure:
    """Middleware that adds the headers to every answer, except to the API documentation with its foreign scripts.

    A BaseHTTPMiddleware would delay the messages of a stream.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in ("/docs", "/redoc"):
            await self.app(scope, receive, send)
            return

        async def secured(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in _SECURITY if h[0] not in present)]
            await send(message)

        await self.app(scope, receive, secured)
