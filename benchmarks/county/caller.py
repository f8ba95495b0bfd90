"""HTTP calls to the services, and sparse lines of progress."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from shouwang.runtime.machine import Runtime

from benchmarks.home import progress

PROGRESS_EVERY_SECONDS = 5.0
CALL_SECONDS_MAX = 600


def client(runtime: Runtime, service: str, **caller: Any) -> httpx.Client:
    """A client of a service. `caller`: the arguments of `issue_token`, for example role and division."""
    from shell.access.auth import issue_token  # the import reads SHOUWANG_HOME

    headers = {"authorization": f"Bearer {issue_token(**caller)}"}
    url = runtime.service_url(service)
    return httpx.Client(base_url=url, headers=headers, timeout=CALL_SECONDS_MAX, trust_env=False)


def sparse_progress() -> Callable[[str], None]:
    """`progress`, but at most one line every five seconds."""
    reported_at = time.monotonic()

    def report(line: str) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= PROGRESS_EVERY_SECONDS:
            reported_at = time.monotonic()
            progress(line)

    return report
