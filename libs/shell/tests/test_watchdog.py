"""A part that does not move although work waits is replaced, and nothing else is."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from common.errors import Unavailable
from prometheus_client import REGISTRY
from shell.jobs import Job
from shell.kafka.pace import Pace
from shell.kafka.relay import Relay
from shell.parts import job_part
from shell.settings import Settings
from shell.store.database import Database
from shell.watchdog import EXIT_STALLED, Guard, Part
from shouwang.runtime.processes import free_port

SECONDS_MAX = 20
QUICK = Settings(look_seconds=0.02, stall_seconds=0.2, job_seconds_max=0.2)


class Work:
    """A part by hand: it runs until cancelled, moves when `done` is raised, and has work while `waits` says so."""

    def __init__(self) -> None:
        self.starts, self.done = 0, 0
        self.waits: str | None = "work waits"
        self.away = False
        self.slow = False  # it moves a little between two looks
        self.ends = False
        self.looks = 0
        self.lightened = 0

    async def run(self) -> None:
        self.starts += 1
        if self.ends:
            raise RuntimeError("broken")
        await asyncio.Event().wait()

    async def waiting(self) -> str | None:
        self.looks += 1
        self.done += self.slow
        if self.away:
            raise Unavailable
        return self.waits

    def lighten(self) -> None:
        self.lightened += 1

    def part(self) -> Part:
        return Part("work", self.run, lambda: self.done, self.waiting, QUICK.stall_seconds, self.lighten)


@asynccontextmanager
async def guarded(part: Part, given_up: list[str], settings: Settings = QUICK) -> AsyncIterator[Guard]:
    guard = Guard("probe", part, settings, given_up.append)
    task = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not holds():
            await asyncio.sleep(0.005)


def sample(name: str, part: str = "work") -> float:
    found = REGISTRY.get_sample_value(name, {"service": "probe", "part": part})
    return found or 0.0


async def test_what_does_not_move_is_replaced_and_says_so() -> None:
    work, given_up = Work(), list[str]()
    before = sample("shouwang_replaced_total")
    async with guarded(work.part(), given_up) as guard:
        await until(lambda: work.starts == 2)
        assert guard.trouble is not None
        assert "work waits" in guard.trouble
        assert sample("shouwang_stalled") == 1
        assert sample("shouwang_replaced_total") == before + 1
        assert work.lightened == 1
        work.done += 1
        await until(lambda: guard.trouble is None)
        assert sample("shouwang_stalled") == 0
    assert not given_up


async def test_after_three_replacements_in_vain_the_process_ends() -> None:
    work, given_up = Work(), list[str]()
    async with guarded(work.part(), given_up):
        await until(lambda: given_up)
    assert work.starts == 4
    assert "work stalled: nothing moved" in given_up[0]


async def test_a_replacement_that_helped_is_forgotten() -> None:
    work, given_up = Work(), list[str]()
    async with guarded(work.part(), given_up):
        for turn in range(2, 8):
            await until(lambda turn=turn: work.starts == turn)  # type: ignore[misc]
            work.done += 1
    assert not given_up


@pytest.mark.parametrize("fine", ["slow", "idle", "away"])
async def test_what_is_slow_idle_or_waits_for_a_store_is_left_alone(fine: str) -> None:
    work, given_up = Work(), list[str]()
    work.waits = None if fine == "idle" else "work waits"
    work.away, work.slow = fine == "away", fine == "slow"
    async with guarded(work.part(), given_up) as guard:
        end = asyncio.get_running_loop().time() + 5 * QUICK.stall_seconds
        await until(lambda: work.looks > 5 and asyncio.get_running_loop().time() > end)
        assert (guard.trouble is not None) == (fine == "away")
    assert work.starts == 1
    assert not given_up


async def test_a_guard_can_be_cancelled_at_the_moment_of_an_answer() -> None:
    """Python's `wait_for` loses a cancellation that comes together with the answer; the process then never stops."""
    work = Work()
    work.away = True
    for turn in range(40):
        guard = Guard("probe", work.part(), QUICK, lambda reason: None)
        task, looks = asyncio.create_task(guard.run()), work.looks
        while work.looks == looks:
            await asyncio.sleep(0)
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=SECONDS_MAX)
        assert task.done()


async def test_the_time_counts_anew_once_the_store_answers_again() -> None:
    work, given_up = Work(), list[str]()
    work.away = True
    async with guarded(work.part(), given_up):
        await until(lambda: work.looks >= 20)
        assert work.starts == 1
        work.away = False
        await until(lambda: work.starts == 2)


async def test_a_part_that_ends_by_itself_is_started_again() -> None:
    work, given_up = Work(), list[str]()
    work.ends = True
    async with guarded(work.part(), given_up) as guard:
        await until(lambda: work.starts >= 2)
        assert guard.trouble is not None
        assert "RuntimeError" in guard.trouble
        work.ends = False
        work.waits = None
        await until(lambda: guard.trouble is None)
    assert not given_up


async def test_a_part_that_cannot_be_cancelled_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shell.watchdog.CANCEL_SECONDS_MAX", 0.1)
    work, given_up, free = Work(), list[str](), asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    part = Part("work", stubborn, lambda: 0, work.waiting, QUICK.stall_seconds)
    async with guarded(part, given_up):
        try:
            await until(lambda: given_up)
            assert "cannot be cancelled" in given_up[0]
        finally:
            free.set()


async def test_a_step_of_a_job_that_takes_too_long_is_cancelled_and_begun_again(database: Database) -> None:
    begun, cancelled, ended = 0, 0, 0

    async def step(database: Database) -> int:
        nonlocal begun, cancelled, ended
        begun += 1
        try:
            if begun == 1:
                await database.pool.execute("SELECT pg_sleep(60)")
        except asyncio.CancelledError:
            cancelled += 1
            raise
        ended += 1
        return 0

    relay = Relay(database, QUICK, Pace([], QUICK))
    part = job_part(Job("step", 0.05, step, shared=True), database, relay, QUICK)
    given_up = list[str]()
    async with guarded(part, given_up) as guard:
        await until(lambda: begun >= 2 and ended >= 1)
        assert cancelled == 1
        await until(lambda: guard.trouble is None)
    assert not given_up


APP = """
import asyncio, time
from shell.jobs import Job
from shell.service import Service

async def hang(database):
    {hang}

app = Service("probe", jobs=[Job("hang", 0.1, hang, shared=True)]).app
"""


@contextmanager
def process(
    folder: Path, database: Database, hang: str, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service in a process of its own, whose only job does `hang`; its URL."""
    (folder / "probe_app.py").write_text(APP.format(hang=hang))
    port = free_port()
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "SHOUWANG_HOME": str(folder),
        "SHOUWANG_KAFKA": f"127.0.0.1:{free_port()}",
        "SHOUWANG_DATABASE_URL_PROBE": database.url,
        **settings,
    }
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--loop", "uvloop", "probe_app:app"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield child, f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


async def _ended(child: "subprocess.Popen[bytes]") -> int:
    code: int = await asyncio.to_thread(child.wait, SECONDS_MAX)
    return code


async def test_a_stalled_service_answers_tells_the_reason_and_ends_with_its_own_code(
    tmp_path: Path, database: Database
) -> None:
    limits = {"SHOUWANG_LOOK_SECONDS": "0.1", "SHOUWANG_JOB_SECONDS_MAX": "1"}
    with process(tmp_path, database, "await asyncio.Event().wait()", **limits) as (child, url):
        said: list[str] = []
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(SECONDS_MAX):
            while not any("hang: stalled" in reason for reason in said):
                try:
                    answer = await client.get(f"{url}/readyz")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status_code == 200
                said = answer.json()["trouble"]
                assert answer.json()["ready"] is (not said)
            exposed = (await client.get(f"{url}/metrics")).text
            assert 'shouwang_stalled{part="hang",service="probe"} 1.0' in exposed
        assert await _ended(child) == EXIT_STALLED
    assert b"this process ends with code 70: hang stalled" in (tmp_path / "log").read_bytes()


async def test_a_blocked_event_loop_ends_the_process(tmp_path: Path, database: Database) -> None:
    with process(tmp_path, database, "time.sleep(600)", SHOUWANG_LOOP_SECONDS_MAX="2") as (child, _):
        assert await _ended(child) == EXIT_STALLED
    assert b"its event loop is blocked" in (tmp_path / "log").read_bytes()
