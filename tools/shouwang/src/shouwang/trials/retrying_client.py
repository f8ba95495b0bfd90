"""An HTTP client that repeats a request until a service answers, as a careful source does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores

RETRY_AFTER_SECONDS = 0.1
ANSWER_SECONDS_MAX = 30
REPEATED = (429, 503)
_ISSUE = """
import json, sys
from shell.access.auth import issue_token
wanted = [argument.partition("@") for argument in sys.argv[1:]]
print(json.dumps({role: issue_token(role, division=area or None) for role, _, area in wanted}))
"""


def tokens(stores: Stores, roles: Sequence[str]) -> dict[str, str]:
    """Issue a token of the home per role. `officer@530300` is the role `officer` with an area. Returns the tokens by
    role, without the area.

    Another process issues them, because this process may use the keys of another home. Raises LocalProblem.
    """
    done = subprocess.run(
        [sys.executable, "-c", _ISSUE, *roles],
        env={**os.environ, "SHOUWANG_HOME": str(stores.home)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LocalProblem(f"No token could be issued: {done.stderr.strip()}")
    issued: dict[str, str] = json.loads(done.stdout)
    return issued


class RetryingClient:
    """Repeats a request while the service is busy (429), unavailable (503) or not reachable, for at most `seconds`."""

    def __init__(self, stores: Stores, tokens: Mapping[str, str], seconds: float = 120) -> None:
        self.stores = stores
        self.seconds = seconds
        self.repeated = 0
        self._tokens = tokens
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def request(
        self, method: str, service: str, path: str, role: str = "admin", **arguments: Any
    ) -> httpx.Response:
        """Send a request until the status is neither 429 nor 503; returns that answer. Raises TimeoutError, also in the
        middle of an attempt."""
        headers = {"authorization": f"Bearer {self._tokens[role]}", **arguments.pop("headers", {})}
        failure = "no answer"
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    url = f"{self.stores.service_url(service)}{path}"
                    answer = await self._try(method, url, headers=headers, **arguments)
                    if isinstance(answer, httpx.Response):
                        return answer
                    failure = answer
                    self.repeated += 1
                    await asyncio.sleep(RETRY_AFTER_SECONDS)
        except TimeoutError:
            problem = f"{service} did not answer {method} {path} within {self.seconds:g} s: {failure}"
            raise TimeoutError(problem) from None

    async def _try(self, method: str, url: str, **arguments: Any) -> httpx.Response | str:
        """Send a request once; returns the answer, or the reason for a retry as text."""
        try:
            answer = await self._client.request(method, url, **arguments)
        except httpx.TransportError as error:
            return repr(error)
        return f"{answer.status_code} {answer.text[:200]}" if answer.status_code in REPEATED else answer

    async def push(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Push a batch of population events to ingestion; returns the receipts. Raises LocalProblem, TimeoutError."""
        body = json.dumps(list(events), ensure_ascii=False).encode()
        headers = {"content-type": "application/cloudevents-batch+json"}
        answer = await self.request("POST", "ingestion", "/v1/events", content=body, headers=headers)
        if answer.status_code != 202:
            raise LocalProblem(f"Ingestion rejected the batch with {answer.status_code}: {answer.text[:500]}")
        receipts: dict[str, Any] = answer.json()
        return receipts
