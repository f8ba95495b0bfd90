"""Asking services over HTTP and not giving up: what a source does that must not lose anything."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx

from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores

AGAIN_AFTER_SECONDS = 0.1
ANSWER_SECONDS_MAX = 30
_ISSUE = """
import json, sys
from shell.access.auth import issue_token
wanted = [argument.partition("@") for argument in sys.argv[1:]]
print(json.dumps({role: issue_token(role, division=area or None) for role, _, area in wanted}))
"""


def tokens(stores: Stores, roles: Sequence[str]) -> dict[str, str]:
    """By role a token of this home; `officer@530300` is one with an area. Issued by a process of its own, as this one
    may belong to another home."""
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


class Asker:
    """Repeats a request until it is answered by something else than `busy` or `away`, for at most `seconds`."""

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

    async def ask(self, method: str, service: str, path: str, role: str = "admin", **request: Any) -> httpx.Response:
        """The first real answer, whatever its status. Raises TimeoutError."""
        headers = {"authorization": f"Bearer {self._tokens[role]}", **request.pop("headers", {})}
        deadline, last = monotonic() + self.seconds, ""
        while monotonic() < deadline:
            try:
                url = f"{self.stores.service_url(service)}{path}"
                answer = await self._client.request(method, url, headers=headers, **request)
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if answer.status_code not in (429, 503):
                    return answer
                last = f"{answer.status_code} {answer.text[:200]}"
            self.repeated += 1
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        raise TimeoutError(f"{service} did not answer {method} {path} within {self.seconds:.0f} s: {last}")

    async def push(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Push a batch of population events through ingestion's door; the receipts."""
        body = json.dumps(list(events), ensure_ascii=False).encode()
        kind = {"content-type": "application/cloudevents-batch+json"}
        answer = await self.ask("POST", "ingestion", "/v1/events", content=body, headers=kind)
        if answer.status_code != 202:
            raise LocalProblem(f"Ingestion refused a batch with {answer.status_code}: {answer.text[:500]}")
        receipts: dict[str, Any] = answer.json()
        return receipts
