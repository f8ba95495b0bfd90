"""Small files with very much content: memory, disk and rejects stay within their limits."""

import asyncio
import csv
import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from datetime import date
from itertools import count

import pyarrow
import pytest
import xlsxwriter
from common.codes.id_number import make
from ingestion.domain.receipts import Rejected
from ingestion.files import spool, store
from ingestion.files.domain.table import CUT, REJECT_BYTES_MAX, ROW_CHARS_MAX, FileBroken, shortened
from ingestion.files.mapping import Given
from ingestion.files.row_events import Sender
from ingestion.files.run_imports import run_imports
from ingestion.files.sessions import BATCH_CHARS_MAX, Session
from ingestion.files.streams import RowStream
from pyarrow import parquet
from shell import clock

WAIT_SECONDS = 60
GROWTH_KIB_MAX = 50 * 1024
SOURCE = "urn:cn:exchange:530300:grid"
NAMES = ["姓名", "身份证号", "认证日期", "认证方式", "备注"]
HEADER = ",".join(NAMES)
LONG = "长" * (400 * 1024 // 3)


def cells(n, note=""):
    return ["张三丰", make("530302", date(1940, 2, 29), n), "2026-11-01", "上门", note]


def stored(rows, note_type=None, **options):
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    if note_type is not None:
        columns["备注"] = pyarrow.array(columns["备注"], note_type)
    data = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), data, **options)
    return data.getvalue()


def workbook(rows, **parts):
    """XLSX with shared strings; `parts` replace those of its archive."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([NAMES, *rows]):
            sheet.write_row(at, 0, row)
    if not parts:
        return data.getvalue()
    changed = io.BytesIO()
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name.rpartition("/")[2].partition(".")[0], old.read(name)))
    return changed.getvalue()


def read(content, form, kind="alive"):
    """The rows, and the code of the fault that ended the file, or None."""
    rows = []
    sender = Sender(SOURCE, SOURCE, clock.now())
    try:
        rows.extend(RowStream(io.BytesIO(content), form, kind, Given(), sender).rows(clock.now))
    except FileBroken as broken:
        return rows, broken.code
    return rows, None


def codes(row):
    return [fault.code for fault in row.read.faults] if isinstance(row.read, Rejected) else []


# ── memory of a real process ────────────────────────────────────────────────────────────────────────────────

CHILD = """
import asyncio, sys
from shell.store.database import Database
from ingestion.files import run_imports as running

def peak():  # in KiB; `ru_maxrss` would count the memory of the parent too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

async def main():
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    await running.run_imports(database)
    before = peak()
    while await running.run_imports(database):
        pass
    print(peak() - before)
    await database.close()

asyncio.run(main())
"""


def dictionary():
    return stored([cells(n, LONG) for n in range(1_000)], compression="zstd")


def delta():
    encoding = {"备注": "DELTA_BYTE_ARRAY"}
    rows = [cells(n, LONG) for n in range(1_000)]
    return stored(rows, use_dictionary=["姓名"], column_encoding=encoding, compression="zstd")


def plain():
    return stored([cells(n, LONG) for n in range(1_000)], use_dictionary=False, compression="zstd", write_batch_size=5)


def fixed():
    return stored(
        [cells(n, LONG.encode()[:400_000]) for n in range(1_000)], pyarrow.binary(400_000), compression="zstd"
    )


def shared_strings():
    return workbook([cells(n % 1000, "长" * 32_000) for n in range(4_000)])


def many_elements():
    return workbook([cells(1)], styles=b"<styleSheet>" + b"<a/>" * 3_000_000 + b"</styleSheet>")


@pytest.mark.parametrize("attack", [dictionary, delta, plain, fixed, shared_strings, many_elements])
async def test_a_small_file_with_gigabytes_of_content_needs_little_memory_and_disk(imports, database, attack):
    """Compared with an ordinary file of the same format, in one process."""
    form = "xlsx" if attack in (shared_strings, many_elements) else "parquet"
    content = attack()
    assert len(content) < 1024**2
    ordinary = workbook([cells(1), cells(2)]) if form == "xlsx" else stored([cells(1), cells(2)])
    for each in (ordinary, content):
        assert (await imports.send(each, "alive", office="grid", format=form)).status_code == 202
    first = "UPDATE imports SET received_at = received_at - interval '1 hour' WHERE bytes = $1"
    await database.pool.execute(first, len(ordinary))
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, database.url],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < GROWTH_KIB_MAX
    rows = await database.pool.fetch("SELECT state, rows_read FROM imports WHERE bytes = $1", len(content))
    if attack is many_elements:
        assert [tuple(row) for row in rows] == [("done", 1)]
    else:
        assert [tuple(row) for row in rows] == [("done", 4_000 if attack is shared_strings else 1_000)]
    kept = await database.pool.fetchval("SELECT coalesce(sum(octet_length(sealed)), 0) FROM import_rejects")
    kept += await database.pool.fetchval("SELECT coalesce(sum(octet_length(sealed)), 0) FROM rejections")
    assert kept <= 1_000 * 2 * (REJECT_BYTES_MAX + 1024)


# ── Parquet ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False},
        {
            "use_dictionary": False,
            "column_encoding": {"身份证号": "DELTA_BYTE_ARRAY", "备注": "DELTA_LENGTH_BYTE_ARRAY"},
        },
        {"data_page_version": "2.0", "compression": "none"},
        {"data_page_size": 256, "dictionary_pagesize_limit": 256, "write_batch_size": 10, "compression": "gzip"},
        {"row_group_size": 70, "compression": "zstd", "write_page_checksum": True, "write_page_index": True},
    ],
)
def test_a_parquet_file_gives_the_same_rows_with_all_options_of_writers(options):
    expected = [cells(n % 900, None if n % 7 == 0 else f"备注{n % 50}") for n in range(2_500)]
    rows, code = read(stored(expected, **options), "parquet")
    assert code is None
    assert [list(row.row.cells) for row in rows] == expected
    assert not any(codes(row) for row in rows)


def test_a_value_longer_than_a_row_rejects_only_its_row_and_keeps_its_beginning():
    found, code = read(stored([cells(1), cells(2, LONG), cells(3, "短")]), "parquet")
    assert code is None
    assert [codes(row) for row in found] == [[], ["row_too_long"], []]
    assert found[1].row.cells[4].startswith("长长")
    assert found[1].row.cells[1] == cells(2)[1]
    assert sum(len(cell.encode()) for cell in found[1].row.cells) <= REJECT_BYTES_MAX


def test_a_row_of_many_values_that_are_too_long_in_total_is_rejected():
    names = [f"列{n}" for n in range(30)]
    row = {name: ["长" * 3_000] for name in names} | dict(zip(NAMES, ([c] for c in cells(1)), strict=True))
    data = io.BytesIO()
    parquet.write_table(pyarrow.table(row), data)
    ((found,), _) = read(data.getvalue(), "parquet")
    assert codes(found) == ["row_too_long"]


def test_a_row_that_needs_a_column_of_lists_is_rejected():
    numbers = [cells(n)[1] for n in (1, 2)]
    days = [[date(2026, 11, 1)], [date(2026, 11, 2)]]
    for name, expected in (("认证日期", ["cell_nested"]), ("附加", [])):
        table = {"身份证号": numbers, "认证方式": ["上门"] * 2, "认证日期": [date(2026, 11, 1)] * 2} | {name: days}
        data = io.BytesIO()
        parquet.write_table(pyarrow.table(table | {"备注": [{"a": 1, "b": "x"}] * 2}), data)
        rows, code = read(data.getvalue(), "parquet")
        assert code is None
        assert [codes(row) for row in rows] == [expected] * 2


def test_pages_that_unpack_too_large_are_rejected_before_they_are_unpacked():
    big = stored([cells(1, "长" * 7_000_000)], use_dictionary=False, compression="zstd")
    assert len(big) < 64 * 1024
    assert read(big, "parquet") == ([], "pages_too_large")


def test_pages_of_all_columns_together_have_a_limit(monkeypatch):
    content = stored([cells(n) for n in range(500)])
    assert read(content, "parquet")[1] is None
    monkeypatch.setenv("SHOUWANG_IMPORT_PAGES_BYTES_MAX", "10000")
    assert read(content, "parquet") == ([], "pages_too_large")


def test_a_footer_that_is_too_large_is_rejected():
    content = stored([cells(1)])
    assert read(content[:-8] + struct.pack("<I", 5 * 1024**2) + b"PAR1", "parquet") == ([], "zip_bomb")


# ── XLSX ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_shared_text_is_found():
    expected = [cells(n % 900, f"备注{n}" * (n % 5)) for n in range(1_000)]
    rows, code = read(workbook(expected), "xlsx")
    assert code is None
    assert [[cell or "" for cell in (*row.row.cells, "")][:5] for row in rows] == expected


@pytest.mark.parametrize(
    "part",
    [
        {"sheet1": b"<worksheet><sheetData><!--" + b"x" * 3_000_000 + b"--></sheetData></worksheet>"},
        {"workbook": b'<workbook><sheets><sheet name="' + b"x" * 3_000_000 + b'"/></sheets></workbook>'},
        {"workbook": b"<workbook><sheets>" + b'<sheet name="a" id="b"/>' * 5_000 + b"</sheets></workbook>"},
        {"styles": b"<styleSheet><cellXfs>" + b"<xf/>" * 200_000 + b"</cellXfs></styleSheet>"},
    ],
)
def test_a_part_that_needs_too_much_memory_is_rejected(part):
    assert read(workbook([cells(1)], **part), "xlsx") == ([], "zip_bomb")


def test_the_directory_of_an_archive_has_a_limit():
    content = workbook([cells(1)])
    at = content.rindex(b"PK\x05\x06") + 12
    assert read(content[:at] + struct.pack("<I", 5 * 1024**2) + content[at + 4 :], "xlsx") == ([], "zip_bomb")


def test_an_archive_with_another_compression_is_rejected():
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook([cells(1)]))) as old, zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert read(data.getvalue(), "xlsx") == ([], "file_broken")


def test_a_workbook_has_a_limited_number_of_tables(monkeypatch):
    monkeypatch.setattr("ingestion.files.streams.TABLES_MAX", 2)
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        for n in range(3):
            for at, row in enumerate([NAMES, cells(n)]):
                book.get_worksheet_by_name(f"s{n}") or book.add_worksheet(f"s{n}")
                book.get_worksheet_by_name(f"s{n}").write_row(at, 0, row)
    rows, code = read(data.getvalue(), "xlsx")
    assert (len(rows), code) == (2, "too_many_tables")


# ── batches and rejects ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_a_batch_of_wide_rows_has_a_limited_size(imports, database, form):
    note = "x" * 60_000
    lines = [HEADER, *(",".join(cells(n, note)) for n in range(200))]
    if form == "ndjson":
        lines = [f'{{"身份证号": "{cells(n)[1]}", "认证日期": "20261101", "备注": "{note}"}}' for n in range(200)]
    assert (await imports.send("\n".join(lines), "alive", office="grid")).status_code == 202
    async with database.reading() as connection:
        (stored_import,) = await store.list_imports(connection, None, None, None, 2)
    session = Session(stored_import, 0)
    batch = session.batch()
    session.close()
    assert 0 < sum(len(cell) for row in batch for cell in row.row.cells) <= BATCH_CHARS_MAX + ROW_CHARS_MAX


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


async def test_a_long_rejected_row_is_stored_shortened_and_its_reason_says_so(imports, database):
    note = "长" * 20_000
    row = cells(1, note)
    row[2] = "2026-02-30"
    found = await imports.run(f"{HEADER}\n{','.join(row)}\n", "alive", office="grid")
    assert found["rejected"] == 1
    for name in ("import_rejects", "rejections"):
        sealed = await database.pool.fetchval(f"SELECT max(octet_length(sealed)) FROM {name}")
        assert sealed <= REJECT_BYTES_MAX + 1024
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert [reject[name] for name in NAMES[:4]] == row[:4]
    assert reject["备注"].startswith("长长")
    assert reject["备注"].endswith(CUT)
    assert reject["原因"] == "认证日期：日期不存在或未按 YYYY-MM-DD 书写；该行过长，此处有截断，请以原文件为准"
    assert reject["原因代码"] == "date /data/valid_from"


async def test_a_shortened_cell_that_is_sent_again_is_rejected(imports):
    row = cells(1)
    row[3] = f"上门{CUT}"
    found = await imports.run(f"{HEADER}\n{','.join(row)}\n", "alive", office="grid")
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert reject["原因代码"] == "cell_cut /data/value/method"


async def test_two_long_rows_with_the_same_beginning_are_two_rejections(imports, database):
    rows = []
    for end in "ab":
        row = cells(1, "长" * 20_000 + end)
        row[2] = "?"
        rows.append(",".join(row))
    found = await imports.run("\n".join([HEADER, *rows]), "alive", office="grid")
    assert (found["rejected"], await database.pool.fetchval("SELECT count(*) FROM rejections")) == (2, 2)


async def test_the_rejects_of_a_file_have_a_limit_and_every_row_still_has_its_reason(imports, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_REJECTS_BYTES_MAX", "20000")
    monkeypatch.setattr("ingestion.files.sessions.BATCH_ROWS", 5)
    rows = []
    for n in range(20):
        row = cells(n, "x" * 2_000)
        row[2] = "?"
        rows.append(",".join(row))
    found = await imports.run("\n".join([HEADER, *rows]), "alive", office="grid")
    assert (found["state"], found["rejected"]) == ("done", 20)
    rejects = table(await imports.rejects(found["import_id"]))
    assert [int(row["行号"]) for row in rejects] == list(range(2, 22))
    assert {row["原因代码"] for row in rejects} == {"date /data/valid_from"}
    whole = [row for row in rejects if row["身份证号"]]
    assert 10 <= len(whole) < 20
    assert all("此处有截断" in row["原因"] for row in rejects if not row["身份证号"])


async def test_a_file_with_more_rows_than_allowed_ends_with_its_reason(imports, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_ROWS_MAX", "10")
    monkeypatch.setattr("ingestion.files.sessions.BATCH_ROWS", 5)
    found = await imports.run("\n".join([HEADER, *(",".join(cells(n)) for n in range(30))]), "alive", office="grid")
    assert (found["state"], found["problems"][0]["code"], found["rows_read"]) == ("failed", "too_many_rows", 10)


@pytest.mark.parametrize("limit", [0, 5, 30, 100, 10_000])
def test_texts_are_shortened_to_a_common_length(limit):
    texts = ["短", "x" * 50, "长" * 40, "", "y" * 7]
    found = shortened(texts, limit)
    if sum(len(text.encode()) for text in texts) <= limit:
        assert found == texts
    else:
        kept = sum(len(text.removesuffix(CUT).encode()) for text in found)
        assert kept <= limit
        assert all(text.startswith(part.removesuffix(CUT)) for text, part in zip(texts, found, strict=True))
        assert [f for t, f in zip(texts, found, strict=True) if f != t] == [f for f in found if f.endswith(CUT)]


# ── the disk ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_file_is_accepted_while_the_disk_is_full(imports, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_DISK_FREE_BYTES_MIN", str(10**18))
    answer = await imports.send(f"{HEADER}\n", "alive", office="grid")
    assert (answer.status_code, answer.json()["code"]) == (503, "spool_full")
    assert int(answer.headers["retry-after"]) > 0
    assert not list(spool.spool_folder().glob("*"))


async def test_a_disk_that_fills_up_during_an_upload_ends_it(imports, monkeypatch):
    """The length of the upload is not known in advance."""
    free = count(10 * 1024**3, -2 * 1024**3)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=next(free)))
    sent = 0

    async def body():
        nonlocal sent
        for _ in range(200):
            sent += 1024**2
            yield b"x" * 1024**2

    async with imports.client("grid") as client:
        answer = await client.post("/v1/imports", params={"kind": "alive"}, content=body())
    assert (answer.status_code, answer.json()["code"]) == (503, "spool_full")
    assert sent < 200 * 1024**2
    assert not list(spool.spool_folder().glob("*"))


async def test_an_import_waits_for_free_space_on_the_disk_and_others_come_first(imports, database, monkeypatch):
    waits = await imports.send(workbook([cells(1)]), "alive", office="grid")
    other = await imports.send(f"{HEADER}\n{','.join(cells(2))}\n", "alive", office="grid")
    monkeypatch.setenv("SHOUWANG_IMPORT_DISK_FREE_BYTES_MIN", str(10**18))
    for _ in range(4):
        await run_imports(database)
    assert (await imports.show(other.json()["import_id"]))["state"] == "done"
    assert (await imports.show(waits.json()["import_id"]))["state"] == "waiting"
    monkeypatch.delenv("SHOUWANG_IMPORT_DISK_FREE_BYTES_MIN")
    await imports.work()
    assert (await imports.show(waits.json()["import_id"]))["accepted"] == 1


# ── a file that crashes its process ───────────────────────────────────────────────────────────────────────────

WORK = """
import asyncio, sys
from shell.store.database import Database
from ingestion.files.run_imports import run_imports

async def main():
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    while await run_imports(database):
        pass
    await database.close()

asyncio.run(main())
"""


async def _crash(database, times):
    """Run processes that crash during a step, as if the system had no free memory."""
    deadline, crashes = time.monotonic() + WAIT_SECONDS, 0
    while crashes < times:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORK, database.url, env=os.environ | {"CRASH_AT": "before_commit"}
        )
        crashes += await asyncio.wait_for(process.wait(), WAIT_SECONDS) == -signal.SIGKILL
        assert time.monotonic() < deadline  # the server releases the lock when it notices the end of the session


async def _finish(imports, import_id):
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := await imports.show(import_id))["state"] in ("waiting", "running"):
        await imports.work()
        assert time.monotonic() < deadline
    return found


async def test_a_file_that_crashes_its_process_three_times_fails_with_its_reason(imports, database):
    content = f"{HEADER}\n{','.join(cells(1))}\n"
    import_id = (await imports.send(content, "alive", office="grid")).json()["import_id"]
    await _crash(database, 3)
    found = await _finish(imports, import_id)
    assert (found["state"], [p["code"] for p in found["problems"]]) == ("failed", ["job_died"])
    assert found["problems"][0]["detail_zh"].startswith("处理该文件时服务进程连续三次异常终止")
    assert not list(spool.spool_folder().glob("*"))
    again = await imports.run(content, "alive", office="grid")
    assert (again["import_id"], again["state"], again["accepted"]) == (import_id, "done", 1)


async def test_crashes_with_a_finished_step_between_them_do_not_add_up(imports, database, monkeypatch):
    monkeypatch.setattr("ingestion.files.sessions.BATCH_ROWS", 1)
    monkeypatch.setattr("ingestion.files.run_imports.STEP_SECONDS", 0)
    content = "\n".join([HEADER, *(",".join(cells(n)) for n in range(5))])
    import_id = (await imports.send(content, "alive", office="grid")).json()["import_id"]
    for _ in range(2):
        await _crash(database, 2)
        deadline = time.monotonic() + WAIT_SECONDS
        while not await run_imports(database):
            assert time.monotonic() < deadline
    found = await _finish(imports, import_id)
    assert (found["state"], found["accepted"]) == ("done", 5)
