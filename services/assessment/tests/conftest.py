from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from assessment.main import app, service
from assessment.scale import scale_in_use
from common import calendar
from common.events import Entitlement, EntitlementsDecided
from shell import clock
from shell.access.auth import issue_token
from shell.store.database import Database
from shell.testing import Driver, migrated_database

TODAY = date(2026, 11, 22)
TOWN, COUNTY = "530302001", "530302"


def ident(name: str) -> str:
    """A stable id for a synthetic person or entitlement."""
    return str(uuid5(NAMESPACE_URL, name))


class People:
    """Builds decisions and forms of synthetic people."""

    ident = staticmethod(ident)

    def entitled(
        self,
        person: str = "p1",
        *,
        version: int = 1,
        from_: date = date(2026, 1, 1),
        to: date | None = None,
        granted: bool = True,
        division: str = TOWN,
        **fields: Any,
    ) -> EntitlementsDecided:
        entitlement = Entitlement(
            entitlement_id=ident(f"{person}-{from_}"),
            item="ability_assessment",
            jurisdiction="530300",
            kind="service",
            state="granted",
            from_=from_,
            to=to,
            division=division,
        )
        return EntitlementsDecided(
            person_id=ident(person),
            version=version,
            facts_version=version,
            recorded_at=datetime(2026, 11, 22, tzinfo=UTC),
            entitlements=(entitlement,) if granted else (),
            **fields,
        )

    def form(self, total: int = 90, *, person: str = "p1", on: date = TODAY, **fields: Any) -> dict[str, Any]:
        items, left = {}, total
        for code, item in scale_in_use().items.items():
            items[code] = min(item.max, left)
            left -= items[code]
        return {
            "person_id": ident(person),
            "assessed_on": on.isoformat(),
            "assessors": ["nurse-1", "worker-2"],
            "items": items,
            **fields,
        }


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture(autouse=True)
def today() -> Callable[..., None]:
    """Business time stands at ten in the morning of TODAY; call it with another date to move on."""

    def move(day: date) -> None:
        clock.set_now(datetime(day.year, day.month, day.day, 10, tzinfo=calendar.SHANGHAI))

    move(TODAY)
    return move


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with migrated_database("assessment") as found:
        yield found


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


@pytest.fixture
async def client(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(service, "database", database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://assessment") as found:
        yield found


@pytest.fixture
def auth() -> Callable[..., dict[str, str]]:
    def headers(role: Any = "assessor", *, division: str | None = COUNTY, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(role, division=division, **claims)}"}

    return headers
