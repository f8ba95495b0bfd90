"""Two processes of supervision store related events at once, and the verdicts follow from both."""

import asyncio
from datetime import date
from typing import Any

import pytest
from common.events import VisitDisputed, VisitVerified
from common.message import Record
from shell.store.database import Database
from shell.testing import Driver
from supervision.main import intake

LOOK_SECONDS = 0.01
SECONDS_MAX = 20.0
_WAITING = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = $1)"
)


async def at_once(database: Database, first: Record, second: Record) -> None:
    """Process two records in two transactions. The second begins before the first commits."""
    stored, may_commit = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.transaction() as tx:
            await intake([first], tx)
            stored.set()
            await may_commit.wait()

    async def follow() -> None:
        async with database.transaction() as tx:
            await intake([second], tx)

    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        group.create_task(hold())
        await stored.wait()
        following = group.create_task(follow())
        name = await database.pool.fetchval("SELECT current_database()")
        while not following.done() and not await database.pool.fetchval(_WAITING, name):
            await asyncio.sleep(LOOK_SECONDS)
        may_commit.set()


@pytest.mark.parametrize("visit_first", [False, True])
async def test_a_visit_and_the_death_before_it_that_are_stored_at_once_give_a_dispute(
    driver: Driver, deliver: Any, make: Any, database: Database, *, visit_first: bool
) -> None:
    person = make.id()
    await deliver(make.decided(person, make.entitlement()))
    died = make.record(make.decided(person, version=2, died_on=date(2026, 11, 1)))
    records = [died, make.record(make.checked_out(person, make.id()))]
    await at_once(database, *(records[::-1] if visit_first else records))
    last = (await driver.emitted(VisitVerified, VisitDisputed))[-1]
    assert last.checks == ("V01",)


async def test_two_visits_of_one_worker_at_one_time_that_are_stored_at_once_are_both_disputed(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    people, tasks = [make.id(), make.id()], [make.id(), make.id()]
    await deliver(*(make.decided(person, make.entitlement()) for person in people))
    visits = [make.record(make.checked_out(person, task)) for person, task in zip(people, tasks, strict=True)]
    await at_once(database, *visits)
    assert {event.task_id for event in await driver.emitted(VisitDisputed)} == set(tasks)
