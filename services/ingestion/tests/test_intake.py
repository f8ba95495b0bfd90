"""Requests that arrive together share a transaction. A second one starts only for a full batch."""

import asyncio
from typing import Any

from ingestion.channels.intake import BATCH_WEIGHT_MAX
from shell.store.database import Database

WAITS_FOR_A_ROW = """SELECT EXISTS (
  SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"""


async def test_a_whole_batch_is_recorded_while_another_waits_for_the_database(
    push: Any, people: Any, database: Database
) -> None:
    held, *others = (people.number(n) for n in range(1, 7))
    await push(people.registration(held), expect="accepted")
    async with database.transaction() as other:
        await other.sql.execute("SELECT FROM persons FOR UPDATE")
        stuck = asyncio.create_task(push(people.residence(held)))
        async with asyncio.timeout(20):
            while not await database.pool.fetchval(WAITS_FOR_A_ROW):  # within a transaction it would not change
                await asyncio.sleep(0.01)
        few = asyncio.create_task(push(people.registration(others[0])))
        await asyncio.sleep(0.5)
        assert not few.done()  # it will share the next transaction
        half = BATCH_WEIGHT_MAX // 2
        events = [people.residence(others[n % 5], id=f"many-{n}") for n in range(2 * half)]
        many = [asyncio.create_task(push(*part)) for part in (events[:half], events[half:])]
        await asyncio.wait_for(asyncio.gather(few, *many), 20)
        assert not stuck.done()
    (receipt,) = await asyncio.wait_for(stuck, 20)
    assert [r["status"] for task in (few, *many) for r in task.result()] == ["accepted"] * (2 * half + 1)
    assert receipt["status"] == "accepted"
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 2 * half + 3


async def test_a_rejected_event_is_stored_although_its_neighbour_fails_by_a_bug(
    push: Any, people: Any, database: Database
) -> None:
    await database.pool.execute("ALTER TABLE received ADD CONSTRAINT our_own_bug CHECK (kind <> 'residence') NOT VALID")
    unknown = people.residence(people.number(1), "999999", id="unknown division")
    receipts = await push(people.residence(people.number(2)), unknown)
    assert [r["problems"][0]["code"] for r in receipts] == ["internal", "division_unknown"]
    assert await database.pool.fetchval("SELECT count(*) FROM rejections") == 1
