"""The fixture `town`: a database of its own, people with decisions, an office, and a clock set to June 2026."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.events import Entitlement, EntitlementsDecided, PayTerms
from shell import clock
from shell.access.auth import Role, issue_token
from shell.store.database import Database
from shell.testing import Driver, migrated_database
from subsidy import verify
from subsidy.main import app, service
from subsidy.roll_month import roll_month

QILIN, ZHANYI = "530302", "530303"


class Person:
    """A person. Each of its decisions has a higher version than the one before."""

    def __init__(self) -> None:
        self.id = str(uuid4())
        self.version = 0

    def decided(self, *entitlements: Entitlement, died: str | None = None, **more: Any) -> EntitlementsDecided:
        self.version += 1
        return EntitlementsDecided(
            person_id=self.id,
            version=self.version,
            facts_version=self.version,
            recorded_at=datetime(2026, 6, 1, tzinfo=UTC),
            entitlements=entitlements,
            died_on=date.fromisoformat(died) if died else None,
            causes=(str(uuid4()),),
            **more,
        )


class Office:
    """The HTTP calls of officials."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def call(
        self,
        method: str,
        path: str,
        role: Role = "officer",
        *,
        status: int | tuple[int, ...] = 200,
        subject: str | None = None,
        user: str | None = None,
        area: str | None = "000000",
        key: str | None = None,
        **more: Any,
    ) -> Any:
        headers = {"authorization": f"Bearer {issue_token(role, subject=subject, user=user, division=area)}"}
        if method == "POST":
            headers["idempotency-key"] = key or str(uuid4())
        answer = await self.client.request(method, path, headers=headers, **more)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    async def reserve(self, month: str = "2026-06", area: str = QILIN, *, status: int = 201, **more: Any) -> Any:
        body = {"month": month, "jurisdiction": area}
        return await self.call("POST", "/v1/batches", json=body, status=status, **more)

    async def approve(self, batch: Any) -> Any:
        await self.call("POST", f"/v1/batches/{batch['batch_id']}/submit")
        return await self.call("POST", f"/v1/batches/{batch['batch_id']}/approve", "approver")

    async def order(self, month: str = "2026-06", area: str = QILIN) -> Any:
        return await self.approve(await self.reserve(month, area))

    async def bank_returns(self, batch: Any, outcome: str = "settled") -> Any:
        lines = [line for line in await self.lines(batch) if line["state"] in ("ordered", "settled")]
        results = [{"line_id": line["line_id"], "outcome": outcome} for line in lines]
        return await self.call("POST", "/v1/bank-returns", json={"lines": results}) if results else None

    async def lines(self, batch: Any) -> list[Any]:
        found = (await self.call("GET", f"/v1/batches/{batch['batch_id']}"))["lines"]
        return sorted(found, key=lambda line: (line["service_month"], line["item"]))

    async def pay(self, month: str = "2026-06", area: str = QILIN) -> Any:
        """A whole month: reserved, submitted, approved, settled."""
        batch = await self.order(month, area)
        await self.bank_returns(batch)
        return batch

    async def ledger(self, person: Person, *kinds: str) -> list[tuple[str, str, int, str]]:
        """(service month, kind, amount, state) of the entries, by month."""
        found = await self.call("GET", f"/v1/persons/{person.id}/ledger")
        return [
            (e["service_month"], e["kind"], e["amount_fen"], e["state"])
            for e in found["entries"]
            if not kinds or e["kind"] in kinds
        ]

    async def balance(self, person: Person) -> int:
        found: int = (await self.call("GET", f"/v1/persons/{person.id}/ledger"))["balance_fen"]
        return found

    async def recoveries(self, person: Person, state: str | None = None) -> list[tuple[str, int, str]]:
        """(service month, amount, state), by month."""
        asked = {"person_id": person.id, **({"state": state} if state else {})}
        found = (await self.call("GET", "/v1/recoveries", params=asked))["recoveries"]
        return sorted((r["service_month"], r["amount_fen"], r["state"]) for r in found)


class Town:
    QILIN, ZHANYI = QILIN, ZHANYI

    def __init__(self, database: Database, office: Office) -> None:
        self.database, self.office = database, office
        self.driver = Driver(database, service.handlers)

    person = Person

    @staticmethod
    def entitled(first: str, end: str | None = None, /, *, fen: int = 5000, **more: Any) -> Entitlement:
        terms = {
            name: more.pop(name) for name in ("start", "stop", "band_change", "when", "fund", "status") if name in more
        }
        what = {
            "entitlement_id": str(uuid4()),
            "item": "longevity_allowance",
            "jurisdiction": QILIN,
            "kind": "cash",
            "state": "granted",
            "pay": PayTerms(**{"status": "documented", **terms}),
            "policy": "530302/longevity_allowance@2023-01-01",
            "facts": (str(uuid4()),),
            **more,
        }
        return Entitlement(
            from_=date.fromisoformat(first),
            to=date.fromisoformat(end) if end else None,
            amount_fen_per_month=fen,
            **what,
        )

    def at(self, day: str) -> None:
        """Noon of that day in Shanghai."""
        clock.set_now(datetime.fromisoformat(f"{day}T04:00:00+00:00"))

    async def receive(self, *decided: EntitlementsDecided, times: int = 1) -> None:
        await self.driver.deliver(*decided, times=times)

    async def emitted(self, *types: Any) -> list[Any]:
        """The events of `types` emitted since the last call."""
        found = await self.driver.emitted(*types)
        await self.driver.clear_outbox()
        return found

    async def dues(self, person: Person, item: str = "longevity_allowance") -> dict[str, Any]:
        """By service month `area: fen state` of the dues."""
        rows = await self.database.pool.fetch(
            """SELECT * FROM dues WHERE person_id = $1 AND item = $2 AND amount_fen > 0
               ORDER BY service_month, jurisdiction""",
            person.id,
            item,
        )
        months = [f"{row['service_month']:%Y-%m}" for row in rows]
        assert len(months) == len(set(months)), "a month is owed twice"
        return {
            month: f"{row['jurisdiction']}: {row['amount_fen']} {row['state']}"
            for month, row in zip(months, rows, strict=True)
        }

    async def month_turns(self) -> int:
        """Run the monthly job to its end. Returns the number of people."""
        touched = 0
        while step := await roll_month(self.database):
            touched += step
        return touched

    async def is_sound(self) -> None:
        assert await verify.check(self.database, clock.today()) == []


@pytest.fixture
async def town(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setenv("SHOUWANG_PAY_FROM_MONTH", "2026-01")
    async with migrated_database("subsidy") as database:
        before, service.database = service.database, database
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://subsidy") as client:
            opened = Town(database, Office(client))
            opened.at("2026-06-15")
            yield opened
        service.database = before
    clock.set_offset(timedelta())
