from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.events import EntitlementsDecided, Event, VisitCancelled
from common.message import Record, state_id, to_headers
from console import session
from console.domain.chain import Chain
from console.domain.item_titles import ItemTitles
from console.domain.meter import Meter
from console.domain.steps import step_of
from console.main import app
from console.reader import Reader
from console.settings import settings as console_settings
from console.tokens import Tokens
from fastapi import Request
from msgspec.json import encode
from shell import clock
from shell.access.auth import issue_token

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.fixture
def reader() -> Reader:
    """The reader of the topics, filled by the test instead of a broker."""
    before = app.state.reader
    app.state.titles = ItemTitles()
    app.state.reader = Reader(before.settings, Chain(), Meter(), app.state.titles)
    return app.state.reader  # type: ignore[no-any-return]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`settings(name=value)` sets settings of the console for one test."""

    def take(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"SHOUWANG_CONSOLE_{name.upper()}", value)
        console_settings.cache_clear()
        app.state.seal = None

    yield take
    monkeypatch.undo()
    console_settings.cache_clear()
    app.state.seal = None


def session_cookies(token: str) -> dict[str, str]:
    """The cookies of a session with this token, as `/login` gives them."""
    noted: dict[str, str] = {}
    headers = [(b"host", b"console")]
    scope = {"type": "http", "app": app, "scheme": "http", "path": "/", "headers": headers}
    request = Request({**scope, "server": ("console", 80), "shouwang.console.cookies": noted})
    session.begin(request, Tokens(token, clock.real_now().timestamp() + 3_600))
    jar = SimpleCookie()
    for line in noted.values():
        jar.load(line)
    return {name: morsel.value for name, morsel in jar.items()}


@pytest.fixture
async def browser(reader: Reader) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """`browser(role, division=…)` is signed in; `browser()` is not. An auditor's area is the nation by default."""
    clients: list[httpx.AsyncClient] = []

    def client(role: Any = None, **scope: Any) -> httpx.AsyncClient:
        if role == "auditor":
            scope = {"division": "000000", **scope}
        cookies = httpx.Cookies()
        for name, value in (session_cookies(issue_token(role, **scope)) if role else {}).items():
            cookies.set(name, value, domain="console.local")  # as if the console had set it
        made = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console", cookies=cookies)
        clients.append(made)
        return made

    yield client
    for made in clients:
        await made.aclose()


def record_of(
    event: Event,
    *,
    seconds: float = 0,
    correlation_id: str | None = None,
    division: str | None = None,
    topic: str | None = None,
) -> Record:
    """The event as a record on its topic."""
    event_id = state_id(event) if event.state else str(uuid4())
    headers = to_headers(
        wire_type=event.wire_type(),
        id=event_id,
        time=NOON + timedelta(seconds=seconds),
        correlation_id=correlation_id or event_id,
        causation_id=None,
        traceparent=None,
        extensions=[("divisioncode", division)] if division else [],
    )
    return Record(topic or event.topic, 0, 0, event.key().encode(), encode(event), headers)


def decided(person_id: str, *, version: int = 1, **given: Any) -> EntitlementsDecided:
    fields: dict[str, Any] = {
        "person_id": person_id,
        "version": version,
        "facts_version": version,
        "recorded_at": NOON,
        "entitlements": (),
    }
    return EntitlementsDecided(**{**fields, **given})


def cancelled(person_id: str, reason: str = "died") -> VisitCancelled:
    return VisitCancelled(
        person_id=person_id,
        task_id=str(uuid4()),
        item="visiting_care",
        division="530302",
        window_from=date(2026, 11, 16),
        window_to=date(2026, 11, 23),
        reason=reason,
    )


@pytest.fixture
def make() -> SimpleNamespace:
    def step(event: Event, *, titles: ItemTitles | None = None, **given: Any) -> Any:
        return step_of(record_of(event, **given), titles or ItemTitles())

    return SimpleNamespace(
        id=lambda: str(uuid4()), record_of=record_of, step=step, decided=decided, cancelled=cancelled
    )
