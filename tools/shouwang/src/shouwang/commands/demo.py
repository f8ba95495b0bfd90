"""`shouwang demo`: start everything, load a synthetic sample county, tell the stories, check everything.

With `--once` all of it is stopped again and the exit code says whether every story came true; otherwise the platform
stays up. A demonstration pays example amounts and moves the clock. So it needs a home of its own: a new one, or that of
an earlier demonstration, in which new people appear and time goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import psutil
from common import calendar
from shell import clock as common_clock
from shell.access.auth import issue_token
from shell.settings import settings
from synth import county

from shouwang.commands.verify import as_this_home, check_all, progress
from shouwang.runtime import clock, lifecycle
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import write_atomically
from shouwang.stories.demonstration import run_all
from shouwang.stories.people import CITY, QILIN, XUANWEI
from shouwang.stories.platform import Platform
from shouwang.stories.providers import register_provider
from shouwang.stories.transcript import StoryFailed, Transcript

PEOPLE: Final = 240
WAIT_SECONDS: Final = 30.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="shouwang demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="stop everything at the end; exit 1 if a story fails")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"elders of the sample county ({PEOPLE})")
    given = parser.parse_args(argv)
    from shouwang.runtime.machine import local_runtime

    started = _process_started()
    runtime = local_runtime()
    first_serial = begin_demonstration(runtime, given.people)
    well = False
    try:
        print("守望 Shouwang, a demonstration. Everybody in it is synthetic.\n")
        lifecycle.up(runtime, business_time=evening_before_the_last_day(clock.business_time(runtime.home)).isoformat())
        as_this_home(runtime)
        print(f"\neverything runs after {monotonic() - started:.1f} s")
        well = asyncio.run(_tell_and_check(runtime, first_serial, given.people))
    except StoryFailed as failed:
        print(f"\nA story did not come true: {failed}", file=sys.stderr)
    finally:
        if given.once:
            lifecycle.down(runtime)
    print(f"\n{'every story came true' if well else 'NOT everything came true'}; {monotonic() - started:.1f} s in all")
    if not given.once:
        _stays_up(runtime)
    return 0 if well else 1


def _process_started() -> float:
    """The monotonic moment at which this command was called: loading it counts."""
    age_seconds = common_clock.real_now().timestamp() - psutil.Process().create_time()
    return monotonic() - age_seconds


def begin_demonstration(runtime: Runtime, people: int) -> int:
    """Mark the home as a demonstration's and reserve serial numbers for `people` new elders; returns the first.
    Raises LocalProblem in a home that is for real work."""
    runtime.mark_demo()
    first = int(runtime.demo_file.read_text())
    write_atomically(runtime.demo_file, str(first + people))
    os.environ["SHOUWANG_DEMO"] = "1"
    settings.cache_clear()
    return first


def evening_before_the_last_day(now: datetime) -> datetime:
    """20:00 of the last day but one of the month of `now`, or of the next when that has passed: the first midnight of
    the stories is a birthday, the second begins a month. None of the two comes by itself while a story is told."""
    evenings = [
        calendar.start_of_day(calendar.add_months(calendar.month_of(now.date()), months)) - timedelta(days=1, hours=4)
        for months in (1, 2)
    ]
    return min(evening for evening in evenings if evening >= now).astimezone(calendar.SHANGHAI)


async def _tell_and_check(runtime: Runtime, first_serial: int, people: int) -> bool:
    transcript = Transcript()
    urls = {process.name: runtime.service_url(process.name) for process in runtime.processes}
    async with Platform(runtime.home, runtime.kafka_address, urls) as platform:
        await _load_county(platform, first_serial, people)
        await run_all(platform, transcript)
        print("\nNow everybody is worked out from scratch, and all stores and topics are compared.")
        report = await check_all(runtime, wait_seconds=WAIT_SECONDS, say=progress)
    progress("")
    print(report.text())
    return report.ok


async def _load_county(platform: Platform, first_serial: int, people: int) -> None:
    """`people` new elders in two counties of Qujing, with their households, through the HTTP door."""
    made = county(first_serial + 1, people, [QILIN, XUANWEI], platform.today(), first_serial=first_serial)
    events = list(made.initial_load())
    began = monotonic()
    for code in (QILIN, XUANWEI):
        await register_provider(platform, code)
    await platform.push(*events)
    print(
        f"{people} synthetic elders of Qujing, {len(events)} events through the HTTP door: {monotonic() - began:.1f} s"
    )


def _stays_up(runtime: Runtime) -> None:
    print(f"""
It stays up; business time is {clock.shown(runtime.home)}.
  console   {runtime.service_url("console")}
  token     {issue_token("officer", division=CITY)}
  stop      make down (keeps the data), make clean (removes it)""")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
