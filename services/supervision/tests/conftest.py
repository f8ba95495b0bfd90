"""Per test a migrated database, events as records on topics, and an API client."""

import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.codes.divisions import NATION
from common.events import (
    DueLine,
    DuesDetermined,
    Entitlement,
    EntitlementsDecided,
    Event,
    VisitCheckedIn,
    VisitCheckedOut,
    VisitMissed,
    VisitOffered,
    VisitPlanned,
)
from common.message import Record, state_id, to_headers
from msgspec.json import encode
from shell import clock
from shell.access.auth import issue_token
from shell.store.database import Database
from shell.testing import Driver, migrated_database
from supervision.main import app, service

sys.path.insert(0, str(Path(__file__).parent))  # the module `disclosure`

COUNTY = "530302"  # 麒麟区
PROVIDER = "52530302MJ00000017"
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # 12:00 in Asia/Shanghai


@pytest.fixture(autouse=True)
def stopped_clock(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own business time, near NOON."""
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    clock.set_now(NOON)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with migrated_database("supervision") as found:
        yield found


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """`api(role, division=…, provider=…)` is a client with that token. An officer and an auditor are of the nation
    by default."""
    before, service.database = service.database, database
    clients: list[httpx.AsyncClient] = []

    def client(role: Any = "officer", **scope: Any) -> httpx.AsyncClient:
        if role in ("officer", "auditor"):
            scope = {"division": NATION, **scope}
        token = issue_token(role, **scope)
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://supervision",
            headers={"Authorization": f"Bearer {token}"},
        )
        clients.append(made)
        return made

    yield client
    for made in clients:
        await made.aclose()
    service.database = before


def new_id() -> str:
    return str(uuid4())


def record(
    event: Event,
    *,
    at: datetime = NOON,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    topic: str | None = None,
) -> Record:
    """The event as a record on its topic."""
    causes = getattr(event, "causes", ())
    event_id = state_id(event) if event.state else new_id()
    headers = to_headers(
        wire_type=event.wire_type(),
        id=event_id,
        time=at,
        correlation_id=correlation_id or (causes[-1] if causes else event_id),
        causation_id=causation_id,
        traceparent=None,
        extensions=[("sequence", str(getattr(event, "version", 1)))] if event.state else (),
    )
    return Record(topic or event.topic, 0, 0, event.key().encode(), encode(event), headers)


def id_of(record: Record) -> str:
    found = record.header("ce_id")
    assert found
    return found


def entitlement(item: str = "visiting_care", **given: Any) -> Entitlement:
    fields: dict[str, Any] = {
        "entitlement_id": new_id(),
        "item": item,
        "jurisdiction": COUNTY,
        "kind": "service" if item == "visiting_care" else "cash",
        "state": "granted",
        "amount_fen_per_month": None if item == "visiting_care" else 5000,
        "from_": date(2026, 1, 1),
    }
    return Entitlement(**{**fields, **given})


def decided(person_id: str, *entitlements: Entitlement, version: int = 1, **given: Any) -> EntitlementsDecided:
    fields: dict[str, Any] = {
        "person_id": person_id,
        "version": version,
        "facts_version": version,
        "recorded_at": NOON,
        "entitlements": entitlements,
        "residence": COUNTY,
    }
    return EntitlementsDecided(**{**fields, **given})


def due(item: str = "longevity_allowance", **given: Any) -> DueLine:
    fields: dict[str, Any] = {"jurisdiction": COUNTY, "service_month": "2026-11", "amount_fen": 5000, "state": "due"}
    return DueLine(item=item, **{**fields, **given})


def dues(person_id: str, *lines: DueLine, version: int = 1) -> DuesDetermined:
    return DuesDetermined(person_id=person_id, entitlements_version=version, lines=lines)


def _visit(cls: type[Event], person_id: str, task_id: str, **given: Any) -> Any:
    fields: dict[str, Any] = {
        "person_id": person_id,
        "task_id": task_id,
        "item": "visiting_care",
        "division": COUNTY,
        "window_from": date(2026, 11, 16),
        "window_to": date(2026, 11, 23),
        "provider": PROVIDER,
    }
    return cls(**{**fields, **given})


def planned(person_id: str, task_id: str, **given: Any) -> VisitPlanned:
    fields = {"reason": "plan", "entitlement_id": new_id(), "provider": None, **given}
    found: VisitPlanned = _visit(VisitPlanned, person_id, task_id, **fields)
    return found


def offered(person_id: str, task_id: str, **given: Any) -> VisitOffered:
    found: VisitOffered = _visit(VisitOffered, person_id, task_id, **{"accept_by": NOON, **given})
    return found


def checked_in(person_id: str, task_id: str, **given: Any) -> VisitCheckedIn:
    found: VisitCheckedIn = _visit(VisitCheckedIn, person_id, task_id, **{"checked_in_at": NOON, **given})
    return found


def missed(person_id: str, task_id: str, **given: Any) -> VisitMissed:
    found: VisitMissed = _visit(VisitMissed, person_id, task_id, **given)
    return found


def checked_out(
    person_id: str, task_id: str, *, begin: datetime = NOON - timedelta(hours=1), minutes: int = 30, **given: Any
) -> VisitCheckedOut:
    fields = {"checked_in_at": begin, "checked_out_at": begin + timedelta(minutes=minutes), "worker": "W7", **given}
    found: VisitCheckedOut = _visit(VisitCheckedOut, person_id, task_id, **fields)
    return found


@pytest.fixture
def make() -> SimpleNamespace:
    """Builders of synthetic events and records."""
    return SimpleNamespace(
        id=new_id,
        record=record,
        id_of=id_of,
        entitlement=entitlement,
        decided=decided,
        due=due,
        dues=dues,
        planned=planned,
        offered=offered,
        checked_in=checked_in,
        checked_out=checked_out,
        missed=missed,
    )


@pytest.fixture
def deliver(driver: Driver) -> Callable[..., Any]:
    """`await deliver(event or record, …, at=…)`: one batch."""

    async def batch(*things: Event | Record, at: datetime = NOON) -> None:
        await driver.deliver_records([record(t, at=at) if isinstance(t, Event) else t for t in things])

    return batch
