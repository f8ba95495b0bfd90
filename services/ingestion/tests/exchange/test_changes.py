"""Changes by watermark: the meaning of I, U and D in any order; nothing is lost between two readings."""

import pytest
from ingestion.exchange import table_runs
from shell.privacy import vault

DIBAO = ("dibao", "2026-01-01", None)


def counts(feed):
    run = feed["last_run"]
    return tuple(run[name] for name in ("rows_read", "accepted", "unchanged", "rejected"))


async def test_rows_of_a_table_become_facts_of_people(tables, incomes):
    for n in range(3):
        tables.put(n)
    feed = await tables.work()
    assert counts(feed) == (3, 3, 0, 0)
    assert feed["state"] == "idle"
    assert feed["problem"] is None
    assert await incomes() == [[DIBAO]] * 3


async def test_a_batch_that_is_sent_again_changes_nothing(tables, incomes, actions):
    tables.put(1)
    await tables.work()
    tables.put(1, at="10:00:00", OP="U")  # touched, with the same content
    assert counts(await tables.again()) == (1, 0, 1, 0)
    assert counts(await tables.again(from_start=True)) == (1, 0, 1, 0)
    assert await actions() == {"created": 1}


@pytest.mark.parametrize("page", [2, 3, 5])
async def test_rows_of_one_instant_are_not_lost_between_two_pages(tables, incomes, page, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", page)
    for n in range(11):
        tables.put(n, at="09:00:00" if n else "08:00:00")
    assert counts(await tables.work()) == (11, 11, 0, 0)
    assert len(await incomes()) == 11


async def test_changes_of_one_key_at_one_instant_stay_on_one_page(tables, incomes, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 3)
    tables.put(0, at="08:00:00")
    tables.put(2, at="08:30:00")
    tables.put(1, OP="I", log=True)
    tables.put(1, OP="U", LB="特困", log=True)
    assert counts(await tables.work())[0] == 4
    assert await incomes() == [[DIBAO], [DIBAO], [("tekun", "2026-01-01", None)]]


async def test_a_content_that_returns_is_no_older_row_that_is_read_again(tables, incomes, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 2)
    tables.put(1, at="09:00:00", OP="U", log=True)
    tables.put(1, at="09:01:00", OP="U", LB="特困", log=True)
    await tables.work()
    tables.sql("DELETE FROM EX_LOW_INCOME WHERE LB = '特困'")
    tables.put(1, at="09:02:00", OP="U", log=True)
    await tables.again()
    assert await incomes() == [[DIBAO]]


async def test_a_row_committed_late_with_an_older_watermark_is_found_within_the_overlap(tables, incomes):
    tables.put(1, at="09:10:00")
    await tables.work()
    tables.put(2, at="09:01:00")
    assert counts(await tables.again()) == (2, 1, 1, 0)
    assert len(await incomes()) == 2


async def test_a_row_older_than_the_overlap_is_found_by_a_reading_from_the_start(tables, incomes):
    tables.put(1, at="09:10:00")
    await tables.work()
    tables.put(2, at="01:00:00")
    assert counts(await tables.again())[1] == 0
    assert counts(await tables.again(from_start=True)) == (2, 1, 1, 0)
    assert len(await incomes()) == 2


async def test_one_watermark_in_the_future_hides_no_later_change(tables, incomes):
    tables.put(1, day="9999-12-31")
    await tables.work()
    tables.put(2, day="2026-11-22", at="10:30:00")
    await tables.again()
    assert len(await incomes()) == 2


async def test_one_watermark_in_the_future_hides_no_later_change_of_its_row(tables, incomes):
    tables.put(1, day="2099-12-31")
    await tables.work()
    await tables.again()
    tables.put(1, day="2026-11-22", at="11:30:00", OP="U", LB="特困")
    await tables.again()
    assert await incomes() == [[("tekun", "2026-01-01", None)]]


@pytest.mark.parametrize("key", [None, "", " "])
async def test_rows_without_a_key_never_change_the_facts_of_each_other(tables, incomes, key):
    insert = "INSERT INTO EX_LOW_INCOME (RID, SFZH, XM, LB, KSRQ, GXSJ) VALUES (?, ?, '张三', '低保', '2026-01-01', ?)"
    tables.put(1)
    for n in (2, 3):
        tables.sql(insert, (key, tables.number(n), f"2026-11-21 09:0{n}:00"))
    feed = await tables.work()
    assert counts(feed) == (3, 1, 0, 2)
    assert await incomes() == [[DIBAO]]
    assert "RID：缺少必填字段,required /id" in await tables.rejects()


async def test_an_update_of_the_same_period_corrects_it(tables, incomes, actions):
    tables.put(1)
    await tables.work()
    tables.put(1, at="10:00:00", OP="U", LB="特困")
    await tables.again()
    assert await incomes() == [[("tekun", "2026-01-01", None)]]
    assert await actions() == {"created": 1, "corrected": 1}


async def test_an_update_with_a_later_beginning_is_a_new_period(tables, incomes, actions):
    tables.put(1)
    await tables.work()
    tables.put(1, at="10:00:00", OP="U", LB="特困", KSRQ="2026-06-01")
    await tables.again()
    assert await incomes() == [[("dibao", "2026-01-01", "2026-06-01"), ("tekun", "2026-06-01", None)]]
    assert await actions() == {"created": 2, "ended": 1}


async def test_a_row_without_days_begins_a_new_period_on_the_day_of_its_change(tables, incomes):
    tables.put(1, KSRQ=None)
    await tables.work()
    tables.put(1, day="2026-11-22", OP="U", LB="特困", KSRQ=None)
    await tables.again()
    assert await incomes() == [[("dibao", None, "2026-11-22"), ("tekun", "2026-11-22", None)]]
    tables.put(1, day="2026-11-22", at="11:00:00", OP="U", LB="低保边缘", KSRQ=None)
    await tables.again()
    assert await incomes() == [[("dibao", None, "2026-11-22"), ("bianyuan", "2026-11-22", None)]]


async def test_an_end_that_is_written_into_the_row_ends_it(tables, incomes, actions):
    tables.put(1)
    await tables.work()
    tables.put(1, at="10:00:00", OP="U", TZRQ="2026-09-01")
    await tables.again()
    assert await incomes() == [[("dibao", "2026-01-01", "2026-09-01")]]
    assert await actions() == {"created": 1, "ended": 1}
    tables.put(1, at="11:00:00", OP="U")
    await tables.again()
    assert await incomes() == [[DIBAO]]


async def test_a_content_that_returns_is_recorded_each_time(tables, incomes, actions):
    for at, category in (("09:00:00", "低保"), ("10:00:00", "特困"), ("11:00:00", "低保"), ("12:00:00", "特困")):
        tables.put(1, at=at, OP="U", LB=category)
        await tables.again()
    assert await incomes() == [[("tekun", "2026-01-01", None)]]
    assert await actions() == {"created": 1, "corrected": 3}


async def test_a_deleted_row_ends_on_the_day_of_its_deletion(tables, incomes):
    tables.put(1)
    await tables.work()
    tables.put(1, day="2026-11-22", at="08:00:00", OP="D", SFZH=None, XM=None, LB=None, KSRQ=None)
    feed = await tables.again()
    assert counts(feed)[1] == 1
    assert await incomes() == [[("dibao", "2026-01-01", "2026-11-22")]]


async def test_a_deleted_row_ends_on_its_own_day_even_with_wrong_value_columns(tables, incomes):
    tables.put(1)
    await tables.work()
    tables.put(1, day="2026-11-22", at="08:00:00", OP="D", LB="#N/A", TZRQ="2026-11-10")
    feed = await tables.again()
    assert counts(feed)[3] == 0
    assert await incomes() == [[("dibao", "2026-01-01", "2026-11-10")]]


async def test_a_period_that_ends_before_it_begins_is_annulled(tables, incomes, actions):
    tables.put(1, KSRQ="2026-12-01")
    await tables.work()
    tables.put(1, at="10:00:00", OP="D")
    await tables.again()
    assert await incomes() == [[]]
    assert await actions() == {"created": 1, "annulled": 1}


async def test_a_feed_may_define_that_a_deletion_annuls(tables, incomes):
    tables.configure(tables.CHANGES | {"deleted": "annulled"})
    tables.put(1)
    await tables.work()
    tables.put(1, at="10:00:00", OP="D")
    await tables.again()
    assert await incomes() == [[]]


async def test_a_deleted_key_that_comes_back_continues_or_begins_a_new_period(tables, incomes):
    for n in (1, 2):
        tables.put(n)
    await tables.work()
    for n in (1, 2):
        tables.put(n, at="10:00:00", OP="D")
    await tables.again()
    tables.put(1, at="11:00:00", OP="I")  # as if it had never been deleted
    tables.put(2, at="11:00:00", OP="I", KSRQ="2026-11-22")
    await tables.again()
    assert await incomes() == [
        [("dibao", "2026-01-01", "2026-11-21"), ("dibao", "2026-11-22", None)],
        [DIBAO],
    ]


async def test_an_update_before_its_insert_begins_the_period_and_the_insert_adds_nothing(tables, incomes):
    tables.put(1, at="09:05:00", OP="U", LB="特困")
    await tables.work()
    tables.put(1, at="09:01:00", OP="I", log=True)
    feed = await tables.again()
    assert counts(feed) == (2, 0, 2, 0)
    assert await incomes() == [[("tekun", "2026-01-01", None)]]


async def test_a_late_insert_with_an_earlier_period_adds_that_period(tables, incomes):
    tables.put(1, at="09:05:00", OP="U", LB="特困", KSRQ="2026-06-01")
    await tables.work()
    tables.put(1, at="09:01:00", OP="I", log=True)
    await tables.again()
    expected = [[("dibao", "2026-01-01", "2026-06-01"), ("tekun", "2026-06-01", None)]]
    assert await incomes() == expected
    await tables.again(from_start=True)
    assert await incomes() == expected


async def test_a_deletion_of_an_unknown_key_waits_for_its_late_insert(tables, incomes):
    tables.put(1, at="09:05:00", OP="D", SFZH=None, XM=None, LB=None, KSRQ=None)
    assert counts(await tables.work()) == (1, 0, 1, 0)
    tables.put(1, at="09:01:00", OP="I", log=True)
    await tables.again()
    assert await incomes() == [[("dibao", "2026-01-01", "2026-11-21")]]


async def test_a_row_inserted_and_deleted_between_two_readings_has_its_period(tables, incomes):
    tables.put(1, day="2026-11-20", OP="D")
    await tables.work()
    assert await incomes() == [[("dibao", "2026-01-01", "2026-11-20")]]


async def test_a_log_of_changes_that_is_read_again_gives_no_event(tables, incomes, actions):
    tables.put(1, at="09:00:00", OP="I", log=True)
    tables.put(1, at="09:01:00", OP="U", LB="特困", log=True)
    tables.put(1, at="09:02:00", OP="U", LB="低保", log=True)
    await tables.work()
    assert await actions() == {"created": 1, "corrected": 2}
    for _ in range(2):
        assert counts(await tables.again())[1] == 0
    tables.put(1, at="09:03:00", OP="U", LB="特困", log=True)
    await tables.again()
    assert await incomes() == [[("tekun", "2026-01-01", None)]]
    assert await actions() == {"created": 1, "corrected": 3}


async def test_a_row_that_changes_to_another_person_annuls_the_fact_of_the_first(tables, incomes):
    tables.put(1)
    await tables.work()
    tables.put(2, key="R1", at="10:00:00", OP="U")
    await tables.again()
    assert await incomes() == [[DIBAO], []]


async def test_several_watermark_columns_order_the_changes_of_one_instant(tables, incomes):
    tables.sql("ALTER TABLE EX_LOW_INCOME ADD COLUMN XH")
    tables.configure(tables.CHANGES | {"watermark": {"columns": ["GXSJ", "XH"]}})
    for number, (operation, category) in enumerate([("I", "低保"), ("U", "特困"), ("D", "特困"), ("I", "低保边缘")]):
        tables.put(1, OP=operation, LB=category, log=True, KSRQ="2026-01-01")
        tables.sql(f"UPDATE EX_LOW_INCOME SET XH = {number} WHERE XH IS NULL")
    await tables.work()
    assert await incomes() == [[("bianyuan", "2026-01-01", None)]]


async def test_a_sequence_number_is_a_watermark_too(tables, incomes):
    watermark = {"columns": ["GXSJ"], "kind": "number", "overlap": 5}
    tables.configure(tables.CHANGES | {"watermark": watermark})
    tables.put(1, GXSJ=100)
    await tables.work()
    tables.put(2, GXSJ=97)
    tables.put(3, GXSJ=101)
    assert counts(await tables.again())[:2] == (3, 2)
    assert len(await incomes()) == 3


async def test_the_time_of_an_event_is_the_watermark(tables, database):
    tables.put(1, at="09:00:00")
    await tables.work()
    row = await database.pool.fetchrow("SELECT event_id, sealed, day FROM received")
    kept = vault().open(row["sealed"], row["event_id"].encode()).decode()
    assert '"time":"2026-11-21T01:00:00Z"' in kept
    assert row["day"].isoformat() == "2026-11-21"
