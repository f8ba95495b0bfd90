"""A maker, a checker and a bank that work on while everything around them is killed."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from shouwang.trials.requests import Asker

PAUSE_SECONDS = 0.5
Json = dict[str, Any]


class Key(NamedTuple):
    """What money is paid for."""

    person_id: str
    item: str
    jurisdiction: str
    service_month: str


class Bank:
    """The bank's own books: what each line it was ever given has moved, whatever we believe."""

    def __init__(self) -> None:
        self.settled: dict[str, tuple[Key, int]] = {}
        self.returned: set[str] = set()

    def paid_fen(self) -> Counter[Key]:
        """Per key, over all lines."""
        paid: Counter[Key] = Counter()
        for key, amount_fen in self.settled.values():
            paid[key] += amount_fen
        return paid


class Paymaster:
    """Pays what some areas owe, again and again. Every step is repeated until it is answered."""

    def __init__(self, asker: Asker, areas: Sequence[str], month: str, rng: Random, returned_share: float) -> None:
        self.bank = Bank()
        self.batches = 0
        self._asker = asker
        self._areas = areas
        self._month = month
        self._rng = rng
        self._returned_share = returned_share

    async def work(self, done: asyncio.Event) -> None:
        """Rounds over all areas until `done` is set."""
        while not done.is_set():
            for area in self._areas:
                await self.pay(area)
            await asyncio.sleep(PAUSE_SECONDS)

    async def pay_all(self) -> int:
        """Until nothing is owed any more; returns how many batches it took. Nothing comes back from the bank now."""
        self._returned_share, before = 0.0, self.batches
        for area in self._areas:
            while await self.pay(area):
                pass
        return self.batches - before

    async def pay(self, area: str) -> bool:
        """One batch from reservation to bank return; False when nothing is owed."""
        key = str(UUID(int=self._rng.getrandbits(128)))
        wanted = {"month": self._month, "jurisdiction": area}
        made = await self._asker.ask(
            "POST", "subsidy", "/v1/batches", "officer", json=wanted, headers={"idempotency-key": key}
        )
        if made.status_code == 409 and made.json()["code"] == "nothing_to_pay":
            return False
        path = f"/v1/batches/{_ok(made.json(), made.status_code)['batch_id']}"
        await self._call("POST", f"{path}/submit", "officer")
        await self._call("POST", f"{path}/approve", "approver")
        await self._settle(await self._asker.ask("GET", "subsidy", f"{path}/bank-file", "officer"))
        self.batches += 1
        return True

    async def _call(self, method: str, path: str, role: str) -> Json:
        answer = await self._asker.ask(method, "subsidy", path, role)
        return _ok(answer.json(), answer.status_code)

    async def _settle(self, file: Any) -> None:
        lines = list(csv.DictReader(file.text.splitlines()))
        if file.status_code != 200:
            raise AssertionError(f"{file.status_code}: {file.text}")
        if not lines:
            return
        results = [{"line_id": line["line_id"], "outcome": self._outcome(line)} for line in lines]
        for start in range(0, len(results), 5_000):
            part = {"lines": results[start : start + 5_000]}
            answer = await self._asker.ask("POST", "subsidy", "/v1/bank-returns", "officer", json=part)
            told = _ok(answer.json(), answer.status_code)
            if told["refused"]:
                raise AssertionError(f"the bank's word was refused: {told['refused'][:3]}")

    def _outcome(self, line: dict[str, str]) -> str:
        if self._rng.random() < self._returned_share:
            self.bank.returned.add(line["line_id"])
            return "returned"
        key = Key(line["person_id"], line["item"], line["jurisdiction"], line["service_month"])
        self.bank.settled[line["line_id"]] = key, int(line["amount_fen"])
        return "settled"


def _ok(body: Json, status: int) -> Json:
    if status not in (200, 201):
        raise AssertionError(f"{status}: {body}")
    return body
