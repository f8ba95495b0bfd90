"""The cookies of the console: sealed values in cookies that scripts and other sites cannot use.

A session holds the tokens of its issuer, which are longer than one cookie may be. So a value is divided into parts.
Where users enter an HTTPS address, the names begin with `__Host-`, and the browser sends the cookies by HTTPS only.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import Request
from shell.http.answers import Message, Receive, Scope, Send

from console.seal import Seal
from console.settings import settings

PART_CHARS_MAX: Final = 3_700  # browsers keep at least 4,096 bytes, name and attributes included
PARTS_MAX: Final = 4
_SET: Final = "shouwang.console.cookies"


class Cookies:
    """ASGI middleware that adds the cookies which `keep` and `drop` have noted to the answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted: dict[str, str] = {}
        scope[_SET] = noted

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and noted:
                added = [(b"set-cookie", line.encode("latin-1")) for line in noted.values()]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, with_cookies)


def origin_of(request: Request) -> str:
    """The origin that the user has entered: the setting, else that of the request."""
    return settings().url or f"{request.url.scheme}://{request.headers.get('host', '')}"


def keep(request: Request, name: str, value: msgspec.Struct) -> None:
    """Give the sealed value to the browser with the answer. Raises ValueError if it is too long."""
    sealed = seal_of(request).seal(msgspec.msgpack.encode(value), name)
    parts = [sealed[at : at + PART_CHARS_MAX] for at in range(0, len(sealed), PART_CHARS_MAX)]
    if len(parts) > PARTS_MAX:
        raise ValueError("the value is too long for cookies")
    _drop_parts(request, name, range(len(parts), PARTS_MAX))
    for number, part in enumerate(parts):
        _note(request, name, number, f"{len(parts)}.{part}" if number == 0 else part)


def drop(request: Request, name: str) -> None:
    """Remove the value from the browser with the answer."""
    _drop_parts(request, name, range(PARTS_MAX))


def read(request: Request, name: str, kind: type[Any]) -> Any:
    """Return the value that the browser has sent, of the class `kind`; None if it has none or it does not open."""
    cookies: Mapping[str, str] = request.cookies
    count, _, first = cookies.get(_name(request, name, 0), "").partition(".")
    if not (count.isdigit() and 1 <= int(count) <= PARTS_MAX):
        return None
    sealed = first + "".join(cookies.get(_name(request, name, number), "") for number in range(1, int(count)))
    content = seal_of(request).open(sealed, name)
    if content is None:
        return None
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None  # an earlier version has written it


def seal_of(request: Request) -> Seal:
    found: Seal | None = getattr(request.app.state, "seal", None)
    if found is None:
        known = settings()
        found = request.app.state.seal = Seal(known.keys_file, made=known.keys is None)
    return found


def _is_secure(request: Request) -> bool:
    return origin_of(request).startswith("https:")


def _name(request: Request, name: str, number: int) -> str:
    prefix = "__Host-" if _is_secure(request) else ""
    return f"{prefix}shouwang-{name}" + (f"-{number}" if number else "")


def _note(request: Request, name: str, number: int, text: str, more: str = "") -> None:
    full = _name(request, name, number)
    secure = "; Secure" if _is_secure(request) else ""
    # Lax: the browser must send the cookies when the issuer leads the user back. No GET changes anything.
    request.scope[_SET][full] = f"{full}={text}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"


def _drop_parts(request: Request, name: str, numbers: range) -> None:
    for number in numbers:
        full = _name(request, name, number)
        if full in request.cookies:
            _note(request, name, number, "", "; Max-Age=0")
        else:
            request.scope[_SET].pop(full, None)
