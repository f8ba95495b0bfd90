"""The job of imports: it continues after a crash, works on a file once, and needs constant memory."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice

import pytest
import xlsxwriter
from common.codes.id_number import make
from ingestion.files import run_imports as running
from ingestion.files import sessions, spool, store
from ingestion.files.delimited import open_delimited
from ingestion.files.mapping import Given, resolve
from ingestion.files.run_imports import run_imports
from shell.store.database import Database

HEADER = "姓名,身份证号,认证日期,认证方式"
WAIT_SECONDS = 60


def lines(people, count, first=0):
    rows = (
        f"张三丰,{people.number(n % 1000)},2026-1{n // 1000}-0{1 + n % 9},上门" for n in range(first, first + count)
    )
    return "\n".join([HEADER, *rows])


@asynccontextmanager
async def replica(database):
    other = Database(database.url, "ingestion")
    await other.open()
    yield other
    await other.close()


CHILD = """
import asyncio, sys
from shell.store.database import Database
from ingestion.files import run_imports as running
from ingestion.files import sessions

async def main():
    sessions.BATCH_ROWS = 40
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    while await running.run_imports(database):
        pass
    await database.close()

asyncio.run(main())
"""


async def _child(database, crash_at=None):
    """Run the job in a process until nothing is left, or until it crashes at `crash_at`. Returns code and errors."""
    environment = {k: v for k, v in os.environ.items() if k != "CRASH_AT"} | (
        {"CRASH_AT": crash_at} if crash_at else {}
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, database.url, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    return process.returncode, errors.decode()


@pytest.mark.parametrize("crash_at", ["before_commit:2", "after_commit:3", "before_commit:6"])
async def test_a_killed_job_continues_at_its_checkpoint(imports, people, database, crash_at):
    content = lines(people, 200) + "\n坏,1,2,3\n"
    answer = await imports.send(content, "alive", office="grid")
    import_id = answer.json()["import_id"]
    code, _ = await _child(database, crash_at)
    assert code == -signal.SIGKILL
    between = await imports.show(import_id)
    assert between["state"] != "done" or crash_at == "before_commit:6"
    assert between["rows_read"] % 40 in (0, 1)
    deadline = time.monotonic() + WAIT_SECONDS
    while (await imports.show(import_id))["state"] != "done":  # the server releases its locks when it notices the crash
        code, errors = await _child(database)
        assert code == 0, errors
        assert time.monotonic() < deadline
    found = await imports.show(import_id)
    assert (found["rows_read"], found["accepted"], found["duplicates"], found["rejected"]) == (201, 200, 0, 1)
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 200
    assert await database.pool.fetchval("SELECT count(*) FROM import_rejects") == 1


async def test_two_replicas_work_on_two_files_and_never_on_the_same(imports, people, database):
    for first in (0, 300):
        assert (await imports.send(lines(people, 300, first), "alive", office="grid")).status_code == 202
    async with replica(database) as other:

        async def work(on):
            while await run_imports(on):
                pass

        await asyncio.gather(work(database), work(other))
        await work(database)
    rows = await database.pool.fetch("SELECT state, rows_read, accepted, duplicates FROM imports")
    assert [tuple(row) for row in rows] == [("done", 300, 300, 0)] * 2


async def test_a_file_that_another_replica_works_on_is_left_to_it(imports, people, database):
    answer = await imports.send(lines(people, 5), "alive", office="grid")
    import_id = answer.json()["import_id"]
    async with replica(database) as other:
        async with other.reading() as holder:
            assert await store.try_lock(holder, import_id)
            assert await run_imports(database) == 0
            assert (await imports.show(import_id))["state"] == "waiting"
            await store.unlock(holder, import_id)
        await imports.work()
    assert (await imports.show(import_id))["state"] == "done"


async def test_a_checkpoint_moves_only_from_its_present_row(imports, people, database):
    answer = await imports.send(lines(people, 5), "alive", office="grid")
    import_id, now = answer.json()["import_id"], datetime.now(UTC)
    by = store.Advance(0, 3, 0, 0, 0, 0, 0, 10, b"")
    async with database.transaction() as tx:
        assert await store.advance(tx, import_id, by, now)
    async with database.transaction() as tx:
        assert not await store.advance(tx, import_id, by, now)
    assert (await imports.show(import_id))["rows_read"] == 3


async def test_a_file_lost_from_the_disk_continues_when_it_is_sent_again(imports, people, database, monkeypatch):
    monkeypatch.setattr(running, "STEP_SECONDS", 0)
    monkeypatch.setattr(sessions, "BATCH_ROWS", 4)
    content = lines(people, 10)
    answer = await imports.send(content, "alive", office="grid")
    import_id = answer.json()["import_id"]
    await run_imports(database)
    for path in spool.spool_folder().glob("*"):
        path.unlink()
    async with replica(database) as other:  # a process that has not opened the file yet
        while await run_imports(other):
            pass
    found = await imports.show(import_id)
    assert (found["state"], found["problems"][0]["code"], found["rows_read"]) == ("failed", "spool_lost", 4)
    again = await imports.run(content, "alive", office="grid")
    assert again["import_id"] == import_id
    assert (again["state"], again["rows_read"], again["accepted"], again["duplicates"]) == ("done", 10, 10, 0)


async def test_a_file_that_was_changed_on_the_disk_fails(imports, people):
    await imports.send(lines(people, 10), "alive", office="grid")
    (path,) = spool.spool_folder().glob("*")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    await imports.work()
    assert (await imports.run(lines(people, 3), "alive", office="grid"))["state"] == "done"
    async with imports.client(None) as client:
        listed = (await client.get("/v1/imports")).json()["imports"]
    assert sorted(found["state"] for found in listed) == ["done", "failed"]


async def test_deaths_are_recorded_before_files_that_wait_longer(imports, people, database, monkeypatch):
    await imports.send(
        lines(people, 30).replace("认证日期,认证方式", "核实日期,居住状况").replace("上门", "独居"),
        "living_situation",
        office="grid",
    )
    await imports.send(f"身份证号,死亡日期,依据\n{people.number(1)},2026-11-01,火化\n", "death", office="funeral")
    await run_imports(database)
    rows = await database.pool.fetch("SELECT kind, state FROM imports")
    assert dict(rows) == {"living_situation": "waiting", "death": "done"}


async def test_one_row_that_causes_an_error_of_ours_is_rejected_alone(imports, people, database):
    broken = await imports.run(lines(people, 1), "alive", office="grid")
    day = await database.pool.fetchval("SELECT person_id FROM received")
    await database.pool.execute(f"ALTER TABLE received ADD CONSTRAINT broken CHECK (person_id <> '{day}') NOT VALID")
    found = await imports.run(lines(people, 8).replace("2026-10", "2026-09"), "alive", office="grid")
    assert broken["accepted"] == 1
    assert (found["state"], found["accepted"], found["rejected"]) == ("done", 7, 1)
    assert "internal" in await imports.rejects(found["import_id"])


async def test_a_file_with_almost_only_wrong_rows_is_given_up(imports, people, monkeypatch):
    monkeypatch.setattr(sessions, "GIVE_UP_FROM", 50)
    monkeypatch.setattr(sessions, "BATCH_ROWS", 25)
    content = "\n".join([HEADER, *(f"张三丰,{n},2026-11-01,上门" for n in range(200))])
    found = await imports.run(content, "alive", office="grid")
    assert (found["state"], found["problems"][0]["code"], found["rejected"]) == ("failed", "too_many_rejects", 50)


async def test_progress_is_shown_during_the_import(imports, people, database, monkeypatch):
    monkeypatch.setattr(sessions, "BATCH_ROWS", 10)
    monkeypatch.setattr(running, "STEP_SECONDS", 0)
    answer = await imports.send(lines(people, 45), "alive", office="grid")
    seen = []
    while await run_imports(database):
        found = await imports.show(answer.json()["import_id"])
        seen.append((found["rows_read"], found["state"]))
        assert 0 < found["bytes_read"] <= found["bytes"]
    assert seen == [(10, "running"), (20, "running"), (30, "running"), (40, "running"), (45, "running"), (45, "done")]


# ── size ────────────────────────────────────────────────────────────────────────────────────────────────────


class _Endless(io.RawIOBase):
    """A file that is generated while it is read."""

    def __init__(self, parts):
        self._parts, self._rest = iter(parts), b""
        self._head, self._at = b"", 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        assert (offset, whence) == (0, 0)
        self._rest, self._head = self._head + self._rest, b""
        self._at = 0
        return 0

    def tell(self):
        return self._at

    def readinto(self, buffer):
        while len(self._rest) < len(buffer) and (part := next(self._parts, None)) is not None:
            self._rest += part
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        self._head = self._head + taken if self._at < 2**20 else b""
        self._at += len(taken)
        return len(taken)


def test_three_million_rows_are_read_as_a_stream():
    block = "".join(f"张三丰,53030219400229{n:04d},2026-11-01,上门\n" for n in range(3000)).encode()
    file = _Endless(chain([f"{HEADER}\n".encode()], (block for _ in range(1000))))
    mapping = resolve("alive", Given())
    table = open_delimited(file, lambda cells: len(mapping.found_in(cells)))
    assert [row.cells for row in islice(table.rows, 1)] == [HEADER.split(",")]
    rows = longest = 0
    for row in table.rows:
        rows += 1
        longest = max(longest, len(row.cells))
    assert (rows, row.place, longest) == (3_000_000, 3_000_001, 4)


GROWTH = """
import io, sys
from shell import clock
from ingestion.files.mapping import Given
from ingestion.files.streams import RowStream
from ingestion.files.row_events import Sender
from ingestion.files.spool import FRAME_BYTES, SealedReader, SealedWriter, forget

def peak():  # in KiB; `ru_maxrss` would count the memory of the parent too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

path, rows, form = sys.argv[1], int(sys.argv[2]), sys.argv[3]
writer = SealedWriter()
with open(path, "rb") as plain:
    while part := plain.read(FRAME_BYTES):
        writer.write(part)
writer.finish()
source = "urn:cn:exchange:530300:grid"
file = io.BufferedReader(SealedReader(writer.spool, writer.size), FRAME_BYTES)
stream = RowStream(file, form, "alive", Given(), Sender(source, source, clock.now()))
early = good = 0
for at, shaped in enumerate(stream.rows(clock.now), 1):
    good += not hasattr(shaped.read, "faults")
    if at == rows // 10:
        early = peak()
forget(writer.spool)
print(at, good, peak() - early)
"""


def _cells(n):
    return ["张三丰", make("530302", date(1900, 1, 1) + timedelta(days=n // 500), n % 500), "2026/11/1", "上门"]


def _write(path, rows, form):
    if form == "csv":
        with path.open("w") as file:
            file.write(HEADER + "\n")
            file.writelines(",".join(_cells(n)) + "\n" for n in range(rows))
        return
    with xlsxwriter.Workbook(str(path)) as book:  # all text is shared text
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER.split(","))
        for n in range(rows):
            sheet.write_row(n + 1, 0, _cells(n))


@pytest.mark.parametrize(("rows", "form"), [(300_000, "csv"), (40_000, "xlsx")])
def test_memory_does_not_grow_with_the_file(rows, form, tmp_path):
    _write(tmp_path / "file", rows, form)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path / "file"), str(rows), form],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS * 2,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read, good, grown_kib = map(int, done.stdout.split())
    assert (read, good) == (rows, rows)
    assert grown_kib < 8 * 1024
