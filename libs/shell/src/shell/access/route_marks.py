"""Marks by which a route states its credential and the limits of its body. `shell.http.body_guard` reads them.

A route needs a credential if it uses a dependency that `checks_credential` has marked. Every other route is marked with
`needs_no_credential`. The guard raises at the start for a route with neither mark.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

from fastapi import Request

CHECK: Final = "shouwang_credential_check"
OPEN: Final = "shouwang_needs_no_credential"
LIMIT: Final = "shouwang_body_limit"
STREAMED: Final = "shouwang_body_is_streamed"
Check = Callable[[Request], Awaitable[object]]
Function = TypeVar("Function", bound=Callable[..., Any])


class BodyLimit(NamedTuple):
    """The largest body in bytes, and the longest time to read it in seconds."""

    bytes_max: int
    seconds_max: float


def checks_credential(dependency: Function, check: Check | None = None) -> Function:
    """Mark a FastAPI dependency that reads the credential of a request.

    The guard calls `check(request)` before it reads the body. `check` raises ServiceError for a request without a valid
    credential and must not read the body. Without `check`, the guard calls the dependency itself with the request.
    """
    setattr(dependency, CHECK, check or dependency)
    return dependency


def needs_no_credential(endpoint: Function) -> Function:
    """Mark an endpoint that answers every caller."""
    setattr(endpoint, OPEN, True)
    return endpoint


def limits_body(bytes_max: int) -> Callable[[Function], Function]:
    """Let an endpoint accept a body of up to `bytes_max` bytes, instead of the setting `body_bytes_max`."""

    def mark(endpoint: Function) -> Function:
        setattr(endpoint, LIMIT, bytes_max)
        return endpoint

    return mark


def streams_body(limit: Callable[[], BodyLimit]) -> Callable[[Function], Function]:
    """Mark an endpoint that reads its body in parts (`request.stream()`). `limit()` is called once per request."""

    def mark(endpoint: Function) -> Function:
        setattr(endpoint, STREAMED, limit)
        return endpoint

    return mark
