from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from common import calendar
from common.codes import uscc
from common.events import Entitlement, EntitlementsDecided
from dispatch.main import app, service
from shell import clock
from shell.access.auth import issue_token
from shell.store.database import Database
from shell.testing import Driver, migrated_database

TODAY = date(2026, 11, 22)
COUNTY, TOWN, OTHER_COUNTY = "530302", "530302001", "530303"
A, B, C = (uscc.make(f"52530302{n:09d}") for n in (1, 2, 3))


def ident(name: str) -> str:
    """A stable id for a synthetic person or entitlement."""
    return str(uuid5(NAMESPACE_URL, name))


class Story:
    """Names that the tests of this folder share."""

    TODAY, COUNTY, TOWN, OTHER_COUNTY, A, B, C = TODAY, COUNTY, TOWN, OTHER_COUNTY, A, B, C
    ident = staticmethod(ident)

    def visiting(self, person: str = "p1", **fields: Any) -> EntitlementsDecided:
        return visiting(person, **fields)


@pytest.fixture
def story() -> Story:
    return Story()


def visiting(
    person: str = "p1",
    *,
    version: int = 1,
    from_: date = date(2026, 1, 1),
    to: date | None = None,
    tier: str | None = "A",
    interval_days: int | None = 7,
    reverify_months: int | None = None,
    division: str = TOWN,
    more: tuple[Entitlement, ...] = (),
    granted: bool = True,
    **fields: Any,
) -> EntitlementsDecided:
    """A decision that grants visiting care (or, with `granted=False`, none)."""
    entitlement = Entitlement(
        entitlement_id=ident(f"{person}-{from_}-{tier}"),
        item="visiting_care",
        jurisdiction="530300",
        kind="service",
        state="granted",
        from_=from_,
        to=to,
        division=division,
        tier=tier,
        interval_days=interval_days,
        reverify_months=reverify_months,
    )
    return EntitlementsDecided(
        person_id=ident(person),
        version=version,
        facts_version=version,
        recorded_at=datetime(2026, 11, 22, tzinfo=UTC),
        entitlements=(*((entitlement,) if granted else ()), *more),
        **fields,
    )


@pytest.fixture(autouse=True)
def today() -> Callable[..., None]:
    """Business time stands at ten in the morning of TODAY; call it with another date to move on."""

    def move(day: date, hour: int = 10) -> None:
        clock.set_now(datetime(day.year, day.month, day.day, hour, tzinfo=calendar.SHANGHAI))

    move(TODAY)
    return move


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with migrated_database("dispatch") as found:
        yield found


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


@pytest.fixture
async def client(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(service, "database", database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as found:
        yield found


@pytest.fixture
def auth() -> Callable[..., dict[str, str]]:
    def headers(role: Any = "officer", **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(role, **claims)}"}

    return headers


@pytest.fixture
def add_provider(database: Database) -> Callable[..., Any]:
    """A provider straight into the store, as an officer would have registered it."""

    async def add(code: str, *areas: str, capacity_per_day: int = 10, topic_state: str = "ready") -> None:
        async with database.transaction() as tx:
            await tx.sql.execute(
                """INSERT INTO providers (uscc, name, items, capacity_per_day, subscription, topic_state, created_at)
                   VALUES ($1, $2, 'visiting_care', $3, 'kafka', $4, now())""",
                code,
                f"provider {code[-4:]}",
                capacity_per_day,
                topic_state,
            )
            await tx.sql.executemany(
                "INSERT INTO provider_areas (division, uscc) VALUES ($1, $2)", [(area, code) for area in areas]
            )

    return add


@pytest.fixture
def tasks(database: Database) -> Callable[..., Any]:
    """The tasks as stored, by window and id."""

    async def load(state: str | None = None, person: str | None = None) -> list[Any]:
        rows = await database.pool.fetch(
            """SELECT * FROM tasks WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR person_id = $2)
               ORDER BY window_from, task_id""",
            state,
            ident(person) if person else None,
        )
        return list(rows)

    return load
