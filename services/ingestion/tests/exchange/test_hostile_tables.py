"""Front-end databases with faults: unavailable, renamed, partly empty, with unusual types and wrong rows."""

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from ingestion.exchange import frontend, pages, table_runs
from ingestion.exchange import run_feeds as running
from ingestion.exchange.frontend import cell_of
from ingestion.files.domain.table import REJECT_BYTES_MAX
from shell import clock
from shell.store.database import Database

WAIT_SECONDS = 60
DIBAO = ("dibao", "2026-01-01", None)


async def test_an_unavailable_front_end_is_tried_again_and_nothing_is_lost(tables, incomes, closed_port):
    tables.put(1)
    await tables.work()
    os.environ[tables.VARIABLE] = f"postgresql+psycopg://reader:geheim@127.0.0.1:{closed_port}/front"
    tables.put(2)
    feed = await tables.again()
    assert (feed["problem"]["code"], feed["failures"], feed["state"]) == ("source_away", 1, "idle")
    assert "geheim" not in str(feed)
    assert (await tables.again())["failures"] == 2
    os.environ[tables.VARIABLE] = tables.url
    feed = await tables.again()
    assert (feed["problem"], feed["failures"]) == (None, 0)
    assert await incomes() == [[DIBAO]] * 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (None, "url_missing"),
        ("not a url", "url_invalid"),
        ("oracle+nodriver://x/y", "driver_missing"),
        ("mssql+pymssql://u:p@h/d", "driver_missing"),
    ],
)
async def test_a_wrong_url_gives_its_reason(tables, url, code):
    os.environ.pop(tables.VARIABLE)
    if url is not None:
        os.environ[tables.VARIABLE] = url
    assert (await tables.work())["problem"]["code"] == code


async def test_a_renamed_column_is_named_and_nothing_is_lost(tables, incomes):
    tables.put(1)
    await tables.work()
    tables.sql("ALTER TABLE EX_LOW_INCOME RENAME COLUMN LB TO LEIBIE")
    feed = await tables.again()
    assert feed["problem"]["code"] == "column_missing"
    assert feed["problem"]["more"]["columns"][0]["field"] == "value.category"
    assert "LEIBIE" in feed["problem"]["more"]["found"]
    tables.sql("ALTER TABLE EX_LOW_INCOME RENAME COLUMN LEIBIE TO LB")
    tables.put(2)
    await tables.again()
    assert await incomes() == [[DIBAO]] * 2


@pytest.mark.parametrize("column", ["RID", "GXSJ", "OP"])
async def test_a_missing_key_watermark_or_operation_column_is_named(tables, column):
    tables.sql(f"ALTER TABLE EX_LOW_INCOME RENAME COLUMN {column} TO ANDERS")
    feed = await tables.work()
    assert (feed["problem"]["code"], feed["problem"]["more"]["columns"]) == ("column_missing", [column])


async def test_a_missing_table_gives_its_reason(tables):
    tables.sql("DROP TABLE EX_LOW_INCOME")
    assert (await tables.work())["problem"]["code"] == "table_unreadable"


async def test_wrong_rows_are_rejected_with_their_reasons_and_correct_ones_recorded(tables, incomes):
    tables.put(1)
    tables.put(2, LB="不知道")
    tables.put(3, SFZH="530302194002290011")
    tables.put(4, OP="X")
    tables.put(5, KSRQ="2026-13-01")
    feed = await tables.work()
    assert (feed["last_run"]["accepted"], feed["last_run"]["rejected"], feed["rejects"]) == (1, 4, 4)
    header, *lines = (await tables.rejects()).strip().splitlines()
    assert header == "GXSJ,RID,OP,KSRQ,TZRQ,SFZH,XM,LB,行号,原因,原因代码"
    text = "\n".join(lines)
    for code in (
        "not_in_list /data/value/category",
        "id_checksum /data/person/id_number",
        "operation_unknown /data/action",
        "date /data/valid_from",
    ):
        assert code in text
    assert "LB：" in text or "lb：" in text
    assert await incomes() == [[DIBAO]]
    tables.put(2)
    feed = await tables.again()
    assert feed["rejects"] == 3


async def test_rows_without_a_watermark_are_reported(tables):
    tables.put(1)
    tables.put(2, GXSJ=None)
    feed = await tables.work()
    assert (feed["problem"]["code"], feed["problem"]["more"]["rows"]) == ("column_empty", {"GXSJ": 1})


async def test_a_watermark_in_another_format_stops_no_row(tables, incomes):
    tables.put(1, GXSJ="20261121090000")
    feed = await tables.work()
    assert feed["last_run"]["accepted"] == 1


@pytest.mark.parametrize("time", ["0001-01-01 00:00:00", "0001-01-02 00:00:00"])
async def test_an_impossible_watermark_stops_no_other_row(tables, incomes, time):
    tables.put(1, GXSJ=time)
    assert (await tables.work())["problem"] is None
    tables.put(2)
    assert (await tables.again())["problem"] is None
    assert [DIBAO] in await incomes()


def test_an_instant_without_a_date_in_shanghai_is_a_cell():
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert cell_of(last) == datetime(9999, 12, 31, 23, 59)  # noqa: DTZ001 - as a cell has it
    assert cell_of(datetime(2026, 11, 21, 23, tzinfo=UTC)) == datetime(2026, 11, 22, 7)  # noqa: DTZ001


async def test_more_rows_of_one_watermark_than_a_page_give_a_reason(tables, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 4)
    for n in range(6):
        tables.put(1, log=True, LB="低保" if n % 2 else "特困")
    assert (await tables.work())["problem"]["code"] == "order_not_unique"


async def test_a_row_that_causes_an_error_of_ours_is_rejected_alone(tables, incomes, monkeypatch):
    for n in range(7):
        tables.put(n)
    tables.sql("UPDATE EX_LOW_INCOME SET BZ = 'x'")
    real = pages.read_row

    def breaking(layout, row, now):
        if "R3" in row.position:
            raise ZeroDivisionError
        return real(layout, row, now)

    monkeypatch.setattr(pages, "read_row", breaking)
    feed = await tables.work()
    assert (feed["last_run"]["accepted"], feed["last_run"]["rejected"]) == (6, 1)
    assert "internal" in await tables.rejects()
    monkeypatch.undo()
    feed = await tables.again()
    assert (feed["last_run"]["accepted"], feed["rejects"]) == (1, 0)
    assert len(await incomes()) == 7


async def test_one_broken_feed_does_not_stop_another(tables, incomes):
    other = tables.CHANGES | {"feed": "away", "url_env": "SHOUWANG_FEED_URL_NOWHERE"}
    tables.configure(other, tables.CHANGES)
    tables.put(1)
    await tables.work()
    assert await incomes() == [[DIBAO]]
    assert (await tables.get("/v1/feeds/away")).json()["problem"]["code"] == "url_missing"


CHILD = """
import asyncio, os, sys
from datetime import UTC, datetime
from shell import clock
from shell.store.database import Database
from ingestion.exchange import run_feeds as running
from ingestion.exchange.frontend import cell_of
from ingestion.exchange import table_runs

async def main():
    clock.set_now(datetime.fromisoformat(sys.argv[2]))
    table_runs.PAGE_ROWS = 40
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    while await running.run_feeds(database):
        pass
    await database.close()

asyncio.run(main())
"""


async def child(database, crash_at=None):
    """Run the job in a process until nothing is due, or until it crashes at `crash_at`. Returns its code and errors."""
    environment = {k: v for k, v in os.environ.items() if k != "CRASH_AT"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        database.url,
        clock.now().isoformat(),
        env=environment | ({"CRASH_AT": crash_at} if crash_at else {}),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    return process.returncode, errors.decode()


@pytest.mark.parametrize(
    ("mode", "crash_at"), [("CHANGES", "before_commit:3"), ("CHANGES", "after_commit:1"), ("FULL", "after_commit:4")]
)
async def test_a_killed_job_continues_without_lost_or_double_rows(tables, database, incomes, actions, mode, crash_at):
    tables.configure(getattr(tables, mode))
    for n in range(150):
        tables.put(n)
    code, errors = await child(database, crash_at)
    assert code == -signal.SIGKILL, errors
    deadline = time.monotonic() + WAIT_SECONDS
    while (await tables.show())["state"] != "idle" or (await tables.show())["last_run"] is None:
        code, errors = await child(database)  # the server releases its lock when it notices the crash
        assert code == 0, errors
        assert time.monotonic() < deadline
    run = (await tables.show())["last_run"]
    assert (run["rows_read"], run["accepted"]) == (150, 150)
    assert await incomes() == [[DIBAO]] * 150
    assert await actions() == {"created": 150}


async def test_a_job_killed_while_it_ends_missing_rows_continues(tables, database, incomes, actions):
    tables.configure(tables.FULL | {"missing_percent_max": 100})
    for n in range(100):
        tables.put(n)
    await tables.work()
    tables.sql("DELETE FROM EX_LOW_INCOME WHERE RID < 'R90'")
    clock.advance(timedelta(hours=1))
    code, errors = await child(database, "before_commit:5")
    assert code == -signal.SIGKILL, errors
    deadline = time.monotonic() + WAIT_SECONDS
    while (await tables.show())["state"] != "idle" or (await tables.show())["last_run"]["ended"] == 0:
        code, errors = await child(database)
        assert code == 0, errors
        assert time.monotonic() < deadline
    rows = (await tables.show())["last_run"]
    assert rows["missing"] == rows["ended"]
    assert (await actions())["ended"] == rows["ended"] >= 80
    assert sum(1 for periods in await incomes() if periods == [DIBAO]) == 100 - rows["ended"]


async def test_two_replicas_read_a_table_once(tables, database, actions):
    for n in range(200):
        tables.put(n)
    other = Database(database.url, "ingestion")
    await other.open()

    async def work(on):
        while await running.run_feeds(on):
            pass

    await asyncio.gather(work(database), work(other))
    await work(database)
    await other.close()
    assert await actions() == {"created": 200}
    assert (await tables.show())["last_run"]["accepted"] == 200


GROWTH = """
import asyncio, sys, time
from datetime import datetime
from shell import clock
from shell.store.database import Database
from ingestion.exchange import run_feeds as running
from ingestion.exchange.frontend import cell_of
from ingestion.exchange import table_runs

def peak():  # in KiB; `ru_maxrss` would count the memory of the parent too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

async def main():
    clock.set_now(datetime.fromisoformat(sys.argv[2]))
    table_runs.STEP_SECONDS = 0.2
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    rows = int(sys.argv[3])
    done = early = 0
    began = time.monotonic()
    while step := await running.run_feeds(database):
        done += step
        early = early or (done >= rows // 5 and peak())
    print(await database.pool.fetchval("SELECT rows_read FROM feed_runs ORDER BY run DESC LIMIT 1"), peak() - early,
          round(rows / (time.monotonic() - began)))
    await database.close()

asyncio.run(main())
"""
ROWS = int(os.environ.get("SHOUWANG_TEST_TABLE_ROWS", "6000"))


async def test_memory_does_not_grow_with_the_table(tables, database):
    tables.configure(tables.FULL)
    row = (None, None, "张三丰", "低保", "2026-01-01")
    tables.sql(
        "INSERT INTO EX_LOW_INCOME (RID, SFZH, XM, LB, KSRQ) VALUES (?, ?, ?, ?, ?)",
        *((n, tables.number(n % 1000, n // 1000), *row[2:]) for n in range(ROWS)),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GROWTH, database.url, clock.now().isoformat(), str(ROWS)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, wrong = await asyncio.wait_for(process.communicate(), 60 + ROWS // 100)
    assert process.returncode == 0, wrong.decode()
    read, grown_kib, _ = map(int, out.split())
    assert read == ROWS
    assert grown_kib < 16 * 1024


async def test_a_table_that_crashes_the_job_three_times_waits_with_its_reason(tables, database, incomes):
    tables.put(1)
    deadline, crashes = time.monotonic() + WAIT_SECONDS, 0
    while crashes < 3:
        code, _ = await child(database, "before_commit")
        crashes += code == -signal.SIGKILL
        assert time.monotonic() < deadline
    while (feed := await tables.work())["problem"] is None:
        assert time.monotonic() < deadline
    assert (feed["problem"]["code"], feed["failures"]) == ("job_died", 1)
    assert await incomes() == []
    feed = await tables.again()
    assert (feed["problem"], feed["last_run"]["accepted"]) == (None, 1)
    assert await incomes() == [[DIBAO]]


def _wide(tables, count):
    """Write rows with a remark of almost the maximal length of a row."""
    for n in range(count):
        tables.put(n)
    tables.sql("UPDATE EX_LOW_INCOME SET BZ = ?", ("长" * 60_000,))


async def test_a_page_of_wide_rows_ends_at_its_limit_and_no_row_is_lost(tables, database, incomes, monkeypatch):
    pages = []
    real = frontend._collect

    def watched(rows, place, limit):
        found = real(rows, place, limit)
        pages.append(sum(len(value) for row in found[0] for value in row if isinstance(value, str)))
        return found

    monkeypatch.setattr(frontend, "_collect", watched)
    mapping = tables.CHANGES["mapping"]["columns"] | {"person.name": "BZ"}
    tables.configure(tables.CHANGES | {"mapping": {"columns": mapping}})
    _wide(tables, 150)
    tables.put(200, at="09:00:01", XM="李四光", key="S1")
    tables.sql("UPDATE EX_LOW_INCOME SET BZ = XM WHERE RID = ?", ("S1",))
    feed = await tables.work()
    assert (feed["last_run"]["rows_read"], feed["last_run"]["rejected"], feed["last_run"]["accepted"]) == (151, 150, 1)
    assert max(pages) <= frontend.PAGE_CHARS_MAX + 2 * 65_536
    assert await incomes() == [[DIBAO]]


async def test_a_value_longer_than_a_row_rejects_only_its_row(tables, database, incomes):
    mapping = tables.CHANGES["mapping"]["columns"] | {"person.name": "BZ"}
    tables.configure(tables.CHANGES | {"mapping": {"columns": mapping}})
    for n in range(3):
        tables.put(n)
    tables.sql("UPDATE EX_LOW_INCOME SET BZ = '张三丰'")
    tables.sql("UPDATE EX_LOW_INCOME SET BZ = ? WHERE RID = 'R1'", ("长" * 2_000_000,))
    feed = await tables.work()
    assert (feed["last_run"]["accepted"], feed["last_run"]["rejected"]) == (2, 1)
    assert await database.pool.fetchval("SELECT octet_length(sealed) FROM feed_rejects") <= REJECT_BYTES_MAX + 1024
    rejects = await tables.rejects()
    assert tables.number(1) in rejects
    assert "row_too_long" in rejects


async def test_a_key_longer_than_a_row_cannot_order_the_table(tables):
    tables.put(1, key="K" * 70_000)
    assert (await tables.work())["problem"]["code"] == "order_unusable"
