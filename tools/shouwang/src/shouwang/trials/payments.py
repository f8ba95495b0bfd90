"""Pays dues as maker, checker and bank, also while processes are killed."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from shouwang.trials.retrying_client import RetryingClient

PAUSE_SECONDS = 0.5
BANK_LINES_MAX = 5_000
Json = dict[str, Any]


class Key(NamedTuple):
    """The key of a due in subsidy."""

    person_id: str
    item: str
    jurisdiction: str
    service_month: str


class Bank:
    """The records of the bank. `settled`: key and fen by line id. `returned`: ids of the lines that it did not pay."""

    def __init__(self) -> None:
        self.settled: dict[str, tuple[Key, int]] = {}
        self.returned: set[str] = set()

    def paid_fen(self) -> Counter[Key]:
        """Return the sum of the settled fen per key."""
        paid: Counter[Key] = Counter()
        for key, amount_fen in self.settled.values():
            paid[key] += amount_fen
        return paid


class Payer:
    """Pays the dues of some areas up to `month` in batches. Every request is repeated until it is answered.

    `returned_share`: the share of lines (0 to 1) that the bank returns. `batches`: number of paid batches.
    """

    def __init__(
        self, client: RetryingClient, areas: Sequence[str], month: str, rng: Random, returned_share: float
    ) -> None:
        self.bank = Bank()
        self.batches = 0
        self._client = client
        self._areas = areas
        self._month = month
        self._rng = rng
        self._returned_share = returned_share

    async def work(self, done: asyncio.Event) -> None:
        """Pay all areas in turn until `done` is set."""
        while not done.is_set():
            for area in self._areas:
                await self.pay(area)
            await asyncio.sleep(PAUSE_SECONDS)

    async def pay_all(self) -> int:
        """Pay until nothing is owed; returns the number of batches. From now on the bank returns no line."""
        self._returned_share, before = 0.0, self.batches
        for area in self._areas:
            while await self.pay(area):
                pass
        return self.batches - before

    async def pay(self, area: str) -> bool:
        """Pay one batch, from reservation to bank return; False when nothing is owed."""
        path = await self._make(area)
        if path is None:
            return False
        await self._call("POST", f"{path}/submit", "officer")
        await self._call("POST", f"{path}/approve", "approver")
        await self._settle(await self._client.request("GET", "subsidy", f"{path}/bank-file", "officer"))
        self.batches += 1
        return True

    async def _make(self, area: str) -> str | None:
        """Make a batch; returns its path, or None when nothing is owed."""
        headers = {"idempotency-key": str(UUID(int=self._rng.getrandbits(128)))}
        wanted = {"month": self._month, "jurisdiction": area}
        made = await self._client.request("POST", "subsidy", "/v1/batches", "officer", json=wanted, headers=headers)
        if made.status_code == 409 and made.json()["code"] == "nothing_to_pay":
            return None
        return f"/v1/batches/{_ok(made.json(), made.status_code)['batch_id']}"

    async def _call(self, method: str, path: str, role: str) -> Json:
        answer = await self._client.request(method, "subsidy", path, role)
        return _ok(answer.json(), answer.status_code)

    async def _settle(self, file: httpx.Response) -> None:
        """Send the bank's outcome of every line of a bank file (CSV)."""
        if file.status_code != 200:
            raise AssertionError(f"{file.status_code}: {file.text}")
        lines = csv.DictReader(file.text.splitlines())
        results = [{"line_id": line["line_id"], "outcome": self._outcome(line)} for line in lines]
        for start in range(0, len(results), BANK_LINES_MAX):
            part = {"lines": results[start : start + BANK_LINES_MAX]}
            answer = await self._client.request("POST", "subsidy", "/v1/bank-returns", "officer", json=part)
            receipt = _ok(answer.json(), answer.status_code)
            if receipt["refused"]:
                raise AssertionError(f"bank returns were refused: {receipt['refused'][:3]}")

    def _outcome(self, line: dict[str, str]) -> str:
        """Decide at random whether the bank settles or returns a line, and record it in `bank`."""
        if self._rng.random() < self._returned_share:
            self.bank.returned.add(line["line_id"])
            return "returned"
        key = Key(line["person_id"], line["item"], line["jurisdiction"], line["service_month"])
        self.bank.settled[line["line_id"]] = key, int(line["amount_fen"])
        return "settled"


def _ok(body: Json, status: int) -> Json:
    """Return the body. Raises AssertionError unless the status is 200 or 201."""
    if status not in (200, 201):
        raise AssertionError(f"{status}: {body}")
    return body
