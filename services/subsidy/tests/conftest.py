"""A town of one: a database of its own, a clock that stands in the middle of June 2026, decisions as they arrive."""

import os
import tempfile

os.environ.setdefault("SHOUWANG_HOME", tempfile.mkdtemp(prefix="subsidy-tests-"))

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest
from common import clock
from common.auth import Role, issue_token
from common.database import Database
from common.events import Entitlement, EntitlementsDecided, PayTerms
from common.testing import Driver, migrated_database
from subsidy import verify
from subsidy.main import app, service
from subsidy.roll_month import roll_month

QILIN, ZHANYI = "530302", "530303"
JANUARY = "2026-01"


@pytest.fixture(autouse=True)
def pay_from_january(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_PAY_FROM_MONTH", JANUARY)


@pytest.fixture(autouse=True)
def at() -> Iterator[Callable[[str], None]]:
    """`at("2026-06-15")` moves the clock to noon of that day in Shanghai."""

    def move(day: str) -> None:
        clock.set_now(datetime.fromisoformat(f"{day}T04:00:00+00:00"))

    move("2026-06-15")
    yield move
    clock.set_offset(clock.timedelta())


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with migrated_database("subsidy") as opened:
        yield opened


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


def entitled(
    start: str,
    end: str | None = None,
    *,
    fen: int = 5000,
    item: str = "longevity_allowance",
    area: str = QILIN,
    state: Literal["granted", "suppressed", "choice_required", "suspended", "unknown"] = "granted",
    status: Literal["documented", "example"] = "documented",
    policy: str = "530302/longevity_allowance@2023-01-01",
    **terms: Any,
) -> Entitlement:
    return Entitlement(
        entitlement_id=str(uuid4()),
        item=item,
        jurisdiction=area,
        kind="cash",
        state=state,
        from_=date.fromisoformat(start),
        to=date.fromisoformat(end) if end else None,
        amount_fen_per_month=fen,
        pay=PayTerms(**terms),
        policy=policy,
        policy_status=status,
        facts=(str(uuid4()),),
    )


class Person:
    """Somebody about whom decisions arrive, each newer than the one before."""

    def __init__(self) -> None:
        self.id = str(uuid4())
        self.version = 0

    def decided(self, *entitlements: Entitlement, **more: Any) -> EntitlementsDecided:
        self.version += 1
        return EntitlementsDecided(
            person_id=self.id,
            version=self.version,
            facts_version=self.version,
            recorded_at=datetime(2026, 6, 1, tzinfo=UTC),
            entitlements=entitlements,
            causes=(str(uuid4()),),
            **more,
        )

    def dead(self, day: str, *entitlements: Entitlement) -> EntitlementsDecided:
        return self.decided(*entitlements, died_on=date.fromisoformat(day))


@pytest.fixture
def person() -> Person:
    return Person()


class Office:
    """What officials do over HTTP. `maker` and `approver` are two people."""

    def __init__(self, database: Database, client: httpx.AsyncClient) -> None:
        self.database, self.client = database, client

    async def call(
        self,
        method: str,
        path: str,
        role: Role = "officer",
        *,
        status: int = 200,
        subject: str | None = None,
        area: str | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Any:
        headers = {"authorization": f"Bearer {issue_token(role, subject=subject, division=area)}"}
        if method == "POST":
            headers["idempotency-key"] = key or str(uuid4())
        answer = await self.client.request(method, path, headers=headers, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    async def reserve(self, month: str = "2026-06", area: str = QILIN, **more: Any) -> Any:
        return await self.call(
            "POST", "/v1/batches", json={"month": month, "jurisdiction": area}, **{"status": 201, **more}
        )

    async def order(self, month: str = "2026-06", area: str = QILIN) -> Any:
        batch = await self.reserve(month, area)
        await self.call("POST", f"/v1/batches/{batch['batch_id']}/submit")
        return await self.call("POST", f"/v1/batches/{batch['batch_id']}/approve", "approver")

    async def bank_says(self, batch: Any, outcome: str = "settled") -> Any:
        lines = [line for line in await self.lines(batch) if line["state"] in ("ordered", "settled")]
        said = [{"line_id": line["line_id"], "outcome": outcome} for line in lines]
        return await self.call("POST", "/v1/bank-returns", json={"lines": said})

    async def lines(self, batch: Any) -> list[Any]:
        found: list[Any] = (await self.call("GET", f"/v1/batches/{batch['batch_id']}"))["lines"]
        return found

    async def pay(self, month: str = "2026-06", area: str = QILIN) -> Any:
        """A whole month: reserved, submitted, approved, settled."""
        batch = await self.order(month, area)
        await self.bank_says(batch)
        return batch

    async def ledger(self, person: Person, *kinds: str) -> list[tuple[str, str, int, str]]:
        """(service month, kind, amount, state) of the entries, oldest first."""
        found = await self.call("GET", f"/v1/persons/{person.id}/ledger")
        return [
            (e["service_month"], e["kind"], e["amount_fen"], e["state"])
            for e in found["entries"]
            if not kinds or e["kind"] in kinds
        ]


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    before, service.database = service.database, database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://subsidy") as client:
        yield Office(database, client)
    service.database = before


async def dues(database: Database, person: Person) -> dict[str, tuple[int, str]]:
    """By service month what is owed and whether it is due, held or barred (areas and items one after another)."""
    rows = await database.pool.fetch(
        "SELECT * FROM dues WHERE person_id = $1 ORDER BY item, jurisdiction, service_month", person.id
    )
    return {f"{row['service_month']:%Y-%m}": (row["amount_fen"], row["state"]) for row in rows if row["amount_fen"]}


async def roll(database: Database) -> int:
    """The monthly job until it has nothing left; returns how many people it touched."""
    touched = 0
    while step := await roll_month(database):
        touched += step
    return touched


async def sound(database: Database) -> None:
    assert await verify.check(database) == []
