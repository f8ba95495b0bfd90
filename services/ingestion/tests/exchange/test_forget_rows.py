"""Rejected rows of front-end tables are deleted after their retention time."""

from datetime import timedelta

from ingestion.exchange import forget_rows as job
from ingestion.exchange.forget_rows import forget_rows
from shell import clock


async def test_a_rejected_row_is_deleted_90_days_after_it_was_read_last(tables, database):
    tables.put(1, LB="不知道")
    tables.put(9, at="12:00:00")  # later readings begin near this row, and do not read row 1 again
    await tables.work()
    clock.advance(timedelta(days=60))
    tables.put(2, LB="不知道", at="12:30:00")
    await tables.work()
    clock.advance(timedelta(days=29))
    assert await forget_rows(database) == 0
    clock.advance(timedelta(days=2))
    assert await forget_rows(database) == 1
    assert (await tables.show())["rejects"] == 1
    rejects = await tables.rejects()
    assert tables.number(1) not in rejects
    assert tables.number(2) in rejects


async def test_one_step_deletes_a_limited_number_of_rows(tables, database, monkeypatch):
    monkeypatch.setattr(job, "STEP_MAX", 2)
    for n in range(3):
        tables.put(n, LB="不知道")
    await tables.work()
    clock.advance(timedelta(days=91))
    assert [await forget_rows(database) for _ in range(3)] == [2, 1, 0]
    assert (await tables.show())["rejects"] == 0
