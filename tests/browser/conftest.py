"""Starts a real browser, console, broker and supervision. The tests emit the events of the other services."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from common.events import (
    DueLine,
    DuesDetermined,
    Entitlement,
    EntitlementsDecided,
    Event,
    MoveGap,
    PersonFactsRecorded,
    Statement,
    VisitCancelled,
    VisitCheckedOut,
    VisitOffered,
    VisitPlanned,
)
from common.events.facts import Death, Disability, Registration
from common.message import state_id, to_headers
from msgspec.json import encode
from playwright.async_api import Browser, Page, async_playwright
from shell import clock
from shell.access.auth import issue_token
from shell.kafka import client
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime

PROVIDER = "52530302MJ00000017"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


class Town:
    """The platform behind the browser, and people whose events the tests emit."""

    def __init__(self, runtime: Runtime, producer: AIOKafkaProducer) -> None:
        self.runtime = runtime
        self.url = runtime.service_url("console")
        self._producer = producer

    def token(self, role: Any = "officer", division: str | None = "530300") -> str:
        return issue_token(role, division=division)

    async def emit(self, event: Event, change: str, cause: str | None = None, division: str | None = None) -> str:
        """Send an event to its topic as its owner would, and return its id."""
        event_id = state_id(event) if event.state else str(uuid4())
        version = getattr(event, "version", None)
        extensions = [("sequence", str(version))] if version else []
        extensions += [("divisioncode", division)] if division else []
        headers = to_headers(
            wire_type=event.wire_type(),
            id=event_id,
            time=clock.now(),
            correlation_id=change,
            causation_id=cause,
            traceparent=None,
            extensions=extensions,
        )
        await self._producer.send_and_wait(event.topic, encode(event), key=event.key().encode(), headers=headers)
        return event_id

    async def visit(self, division: str = "530302001", *, minutes: int = 25) -> tuple[str, str]:
        """Emit all events of a person who is found disabled and visited. Returns the person id and the change id."""
        person, change = str(uuid4()), str(uuid4())
        facts = await self.emit(_facts(person, change, "disability"), change, change)
        decision = await self.emit(_decided(person, change, division), change, facts, division)
        task = _task(person, division)
        planned = VisitPlanned(**task, reason="first", entitlement_id=str(uuid4()), tier="A")
        cause = await self.emit(planned, change, decision, division)
        cause = await self.emit(VisitOffered(**task, accept_by=clock.now()), change, cause, division)
        begin = clock.now() - timedelta(minutes=minutes)
        done = VisitCheckedOut(**task, checked_in_at=begin, checked_out_at=clock.now(), worker=person[:6])
        await self.emit(done, change, cause, division)
        await self.emit(_dues(person), change, decision, "530302")
        return person, change

    async def elder(self, born: date, hukou: str) -> str:
        """Emit the registration of a person. Returns the person id."""
        person, change = str(uuid4()), str(uuid4())
        value = Registration(sex="2", birth_date=born, hukou_division=hukou, hukou_kind="rural")
        await self.emit(_facts(person, change, "registration", value), change, change)
        return person

    async def gap(self, left: str, moved_to: str) -> str:
        """Emit the decision about a person who has moved, and whom no list covers then. Returns the person id."""
        person, change = str(uuid4()), str(uuid4())
        gap = MoveGap(
            item="longevity_allowance",
            old=left,
            old_policy=f"{left}/longevity_allowance@2023-01-01",
            left=left,
            moved_to=moved_to,
            moved_on=date(2026, 9, 10),
            first_month="2026-10",
            why="refused",
        )
        decision = _decided(person, change, moved_to, gaps=(gap,))
        await self.emit(decision, change, division=moved_to)
        return person

    async def death(self, division: str = "530302001") -> str:
        """Emit the death of a person, the decision about it and the cancelled task. Returns the person id."""
        person, change = str(uuid4()), str(uuid4())
        facts = await self.emit(_facts(person, change, "death"), change, change)
        dead = _decided(person, change, division, died_on=clock.today() - timedelta(days=3))
        decision = await self.emit(dead, change, facts, division)
        cancelled = VisitCancelled(
            person_id=person,
            task_id=str(uuid4()),
            item="visiting_care",
            division=division,
            window_from=clock.today(),
            window_to=clock.today() + timedelta(days=7),
            reason="died",
        )
        await self.emit(cancelled, change, decision, division)
        return person


VALUES: Final = {
    "disability": Disability(class_=4, level=2),
    "death": Death(evidence="register_cancelled"),
}


def _task(person: str, division: str) -> dict[str, Any]:
    """The fields that all events of a visit have."""
    return {
        "person_id": person,
        "task_id": str(uuid4()),
        "item": "visiting_care",
        "division": division,
        "window_from": clock.today(),
        "window_to": clock.today() + timedelta(days=7),
        "provider": PROVIDER,
    }


def _dues(person: str) -> DuesDetermined:
    line = DueLine(item="nursing_subsidy", jurisdiction="530302", service_month="2026-11", amount_fen=5000, state="due")
    return DuesDetermined(person_id=person, entitlements_version=1, lines=(line,))


def _facts(person: str, change: str, kind: Any, value: Any = None) -> PersonFactsRecorded:
    now = clock.now()
    statement = Statement(
        event_id=change,
        chain=change,
        action="created",
        kind=kind,
        source="urn:cn:exchange:530300:dpf",
        rank=1,
        time=now,
        recorded_at=now,
        valid_from=clock.today() - timedelta(days=3) if kind == "death" else None,
        value=value or VALUES[kind],
    )
    return PersonFactsRecorded(person_id=person, version=1, recorded_at=now, statements=(statement,), causes=(change,))


def _decided(
    person: str, change: str, division: str, died_on: date | None = None, gaps: tuple[MoveGap, ...] = ()
) -> EntitlementsDecided:
    items = ("nursing_subsidy", "visiting_care")
    rights = tuple(
        Entitlement(
            entitlement_id=str(uuid4()),
            item=item,
            jurisdiction="530302",
            kind="service" if item == "visiting_care" else "cash",
            state="granted",
            from_=date(2026, 1, 1),
        )
        for item in items
    )
    return EntitlementsDecided(
        person_id=person,
        version=1,
        facts_version=1,
        recorded_at=clock.now(),
        entitlements=() if died_on else rights,
        residence=division,
        died_on=died_on,
        changed=items,
        causes=(change,),
        gaps=gaps,
    )


@pytest.fixture(scope="session")
def runtime() -> Iterator[Runtime]:
    """Kafka, PostgreSQL, supervision and the console as processes."""
    folder = Path(tempfile.mkdtemp(prefix="shouwang-browser-"))
    before = os.environ.get("SHOUWANG_HOME")
    os.environ["SHOUWANG_HOME"] = str(folder)
    found = Runtime(folder, ports="free")
    try:
        found.start_stores(with_tables=True)
        found.create_topics()
        for name in ("supervision", "console"):
            found.start_service(name)
        for name in ("supervision", "console"):
            found.wait_ready(name)
        yield found
    finally:
        found.stop_all()
        if before is None:
            del os.environ["SHOUWANG_HOME"]
        else:
            os.environ["SHOUWANG_HOME"] = before
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def town(runtime: Runtime) -> AsyncIterator[Town]:
    producer = client.producer(runtime.kafka_settings(PROVISION))
    await producer.start()
    yield Town(runtime, producer)
    await producer.stop()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("no Chromium on the PATH; on Debian: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def identification(runtime: Runtime) -> Iterator[str]:
    """The address of identification. It runs only in tests that need it; elsewhere the tests emit its events."""
    runtime.start_service("identification")
    runtime.wait_ready("identification")
    yield runtime.service_url("identification")
    runtime.stop("identification")


@pytest.fixture
async def page(chromium: Browser, town: Town) -> AsyncIterator[Page]:
    """A desktop page. The test fails for every script error, every blocked resource and every foreign request."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN")
    opened = await context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    opened.on("request", lambda r: None if r.url.startswith(town.url) else faults.append(r.url))
    yield opened
    await context.close()
    assert not faults
