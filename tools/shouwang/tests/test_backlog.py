"""Rows whose day has come are a backlog until a job has worked on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from ingestion.review.escalate_quarantine import escalate_overdue
from shell import clock
from shell.store.database import Database
from shell.testing import migrated_database
from shouwang.invariants.backlog import DUE
from supervision.checks import checks
from supervision.raise_alerts import raise_overdue

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(days=1), NOW + timedelta(days=1)
QUARANTINED = """INSERT INTO quarantine (event_id, person_id, source, kind, reason, owner, since, deadline,
                                         escalated_at)
                 VALUES (gen_random_uuid(), gen_random_uuid(), 'urn:x', 'death', 'source_not_of_person', '530302',
                         $1, $1, $1)"""
CLAIMED = """INSERT INTO place_cases (case_id, person_id, chain, source, kind, division, county_left, owner, since,
                                      deadline, silent_on)
             VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'urn:x', 'residence', '530302', '530303',
                     '530303', $1, $1, ($1::timestamptz + make_interval(days => $2))::date)"""
GROUPED = """INSERT INTO groups (group_id, source, kind, day, holds, owner, since, deadline)
             VALUES (gen_random_uuid(), 'urn:x', 'death', $1::timestamptz::date, 'events', '530302', $1, $1)"""
HINT = "INSERT INTO hints VALUES (gen_random_uuid(), gen_random_uuid(), $1::timestamptz::date)"
MATTER = """INSERT INTO matters (person_id, check_id, subject, since, due_at, division, correlation_id)
            VALUES (gen_random_uuid(), 'hold_overdue', gen_random_uuid(), $1, $1, '530302', gen_random_uuid())"""
WAITING = """INSERT INTO tasks (task_id, person_id, item, division, window_from, window_to, state, at, checked_out_at,
                                verdict)
             VALUES (gen_random_uuid(), gen_random_uuid(), 'visiting_care', '530302', $1::timestamptz::date,
                     $1::timestamptz::date, 'completed', $1, $1, 'waiting')"""


@pytest.fixture(autouse=True)
def fixed_clock() -> Iterator[None]:
    clock.set_now(NOW)
    yield
    clock.set_offset(timedelta())


@pytest.fixture
async def ingestion() -> AsyncIterator[Database]:
    async with migrated_database("ingestion") as found:
        yield found


@pytest.fixture
async def supervision() -> AsyncIterator[Database]:
    async with migrated_database("supervision") as found:
        yield found


async def due(database: Database, service: str) -> int:
    found: int = await database.pool.fetchval(DUE[service], clock.today(), clock.now())
    return found


async def test_a_case_of_ingestion_is_a_backlog_from_its_deadline_until_it_is_escalated(ingestion: Database) -> None:
    for day in (PAST, FUTURE):
        await ingestion.pool.execute(QUARANTINED, day)
        await ingestion.pool.execute(CLAIMED, day, 30)
        await ingestion.pool.execute(GROUPED, day)
    assert await due(ingestion, "ingestion") == 3
    assert await escalate_overdue(ingestion) == 3
    assert await due(ingestion, "ingestion") == 0


async def test_a_silent_county_and_the_end_of_a_hint_are_a_backlog_from_their_day(ingestion: Database) -> None:
    await ingestion.pool.execute(CLAIMED, FUTURE, -1)
    await ingestion.pool.execute(CLAIMED, FUTURE, 0)
    await ingestion.pool.execute(HINT, NOW)
    await ingestion.pool.execute(HINT, FUTURE)
    assert await due(ingestion, "ingestion") == 2


async def test_a_matter_is_a_backlog_from_its_instant_until_it_is_an_alert(supervision: Database) -> None:
    await supervision.pool.execute(MATTER, PAST)
    await supervision.pool.execute(MATTER, FUTURE)
    assert await due(supervision, "supervision") == 1
    assert await raise_overdue(supervision) == 1
    assert await due(supervision, "supervision") == 0


async def test_a_visit_is_a_backlog_once_it_has_waited_long_enough_for_its_entitlement(supervision: Database) -> None:
    await supervision.pool.execute(WAITING, NOW - checks().entitlement_wait)
    await supervision.pool.execute(WAITING, NOW - checks().entitlement_wait + timedelta(seconds=1))
    assert await due(supervision, "supervision") == 1
