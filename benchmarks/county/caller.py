"""HTTP calls to the services, and sparse lines of progress."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from shouwang.runtime.machine import Runtime

from benchmarks.home import progress

PROGRESS_EVERY_SECONDS = 5.0
CALL_SECONDS_MAX = 600
POLL_SECONDS = 0.1
DONE_SECONDS_MAX = 4 * 3600


def client(runtime: Runtime, service: str, **caller: Any) -> httpx.Client:
    """A client of a service. `caller`: the arguments of `issue_token`, for example role and division."""
    url, headers = runtime.service_url(service), _authorization(caller)
    return httpx.Client(base_url=url, headers=headers, timeout=CALL_SECONDS_MAX, trust_env=False)


def _authorization(caller: dict[str, Any]) -> dict[str, str]:
    from shell.access.auth import issue_token  # the import reads SHOUWANG_HOME

    return {"authorization": f"Bearer {issue_token(**caller)}"}


def get(caller: httpx.Client, path: str) -> dict[str, Any]:
    """The JSON answer. Raises httpx.HTTPStatusError for an error status."""
    answer: dict[str, Any] = caller.get(path).raise_for_status().json()
    return answer


def post(caller: httpx.Client, path: str, body: object = None) -> dict[str, Any]:
    """The JSON answer. Raises httpx.HTTPStatusError for an error status."""
    answer: dict[str, Any] = caller.post(path, json=body).raise_for_status().json()
    return answer


def poll(
    caller: httpx.Client,
    path: str,
    is_done: Callable[[dict[str, Any]], bool],
    report: Callable[[dict[str, Any]], None] = lambda status: None,
    every_seconds: float = POLL_SECONDS,
) -> dict[str, Any]:
    """Read a status until it is done. `report` takes every other status. Raises TimeoutError."""
    deadline = time.monotonic() + DONE_SECONDS_MAX
    while time.monotonic() < deadline:
        status = get(caller, path)
        if is_done(status):
            return status
        report(status)
        time.sleep(every_seconds)
    raise TimeoutError(f"{path} was not done within {DONE_SECONDS_MAX} s")


class SparseProgress:
    """`progress`, but at most one line every five seconds."""

    def __init__(self) -> None:
        self._reported_at = time.monotonic()

    def __call__(self, line: str) -> None:
        if time.monotonic() - self._reported_at >= PROGRESS_EVERY_SECONDS:
            self._reported_at = time.monotonic()
            progress(line)
