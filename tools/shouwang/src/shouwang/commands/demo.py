"""`shouwang demo`: start everything, load a synthetic sample county, run the stories, check all invariants.

With `--once` everything is stopped at the end; without it the platform stays up. The exit code is 1 if a story fails
or an invariant does not hold.

A demonstration pays example amounts and moves the clock. So it needs its own home: a new one, or the home of an earlier
demonstration. Such a home gets new people, and its clock continues.
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

from shouwang.commands.verify import as_this_home, check_all
from shouwang.runtime import clock, lifecycle, machine
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import write_atomically
from shouwang.stories import demonstration
from shouwang.stories.people import CITY, QILIN, XUANWEI
from shouwang.stories.platform import Platform
from shouwang.stories.providers import register_provider
from shouwang.stories.transcript import StoryFailed, Transcript
from shouwang.terminal import show_progress

PEOPLE: Final = 240
WAIT_SECONDS: Final = 30.0


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 if every story succeeded and all invariants hold, else 1."""
    given = _parser().parse_args(arguments)
    started = _process_started()
    runtime = machine.local_runtime()
    first_serial = begin_demonstration(runtime, given.people)
    well = False
    try:
        _start(runtime, started)
        well = asyncio.run(_run_and_check(runtime, first_serial, given.people))
    except StoryFailed as failed:
        print(f"\nA story failed: {failed}", file=sys.stderr)
    finally:
        if given.once:
            lifecycle.down(runtime)
    verdict = "every story succeeded" if well else "NOT everything succeeded"
    print(f"\n{verdict}; {monotonic() - started:.1f} s in all")
    if not given.once:
        _print_addresses(runtime)
    return 0 if well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shouwang demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="stop everything at the end; exit 1 if a story fails")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"elders of the sample county ({PEOPLE})")
    return parser


def _process_started() -> float:
    """Return the start of this process in monotonic seconds, so that a duration includes the loading of the program."""
    age_seconds = common_clock.real_now().timestamp() - psutil.Process().create_time()
    return monotonic() - age_seconds


def begin_demonstration(runtime: Runtime, people: int) -> int:
    """Mark the home as a demonstration's and reserve serial numbers for `people` new elders; returns the first.
    Raises LocalProblem for a home with other data."""
    runtime.mark_demo()
    first = int(runtime.demo_file.read_text())
    write_atomically(runtime.demo_file, str(first + people))
    os.environ["SHOUWANG_DEMO"] = "1"
    settings.cache_clear()
    return first


def _start(runtime: Runtime, started: float) -> None:
    """Start all processes on the evening on which the stories begin. `started`: monotonic seconds, for the duration."""
    print("守望 Shouwang, a demonstration. All people in it are synthetic.\n")
    begins_at = evening_before_the_last_day(clock.business_time(runtime.home))
    lifecycle.up(runtime, business_time=begins_at.isoformat())
    as_this_home(runtime)
    print(f"\neverything runs after {monotonic() - started:.1f} s")


def evening_before_the_last_day(now: datetime) -> datetime:
    """20:00 on the last day but one of the month of `now`, or of the next month if that instant has passed.

    The first story moves the clock to the next midnight, a birthday, and then to the one after, which begins a month.
    In the evening, no midnight comes by itself while the stories run.
    """
    month = calendar.month_of(now.date())
    ends = [calendar.start_of_day(calendar.add_months(month, months)) for months in (1, 2)]
    evenings = [end - timedelta(days=1, hours=4) for end in ends]
    return min(evening for evening in evenings if evening >= now).astimezone(calendar.SHANGHAI)


async def _run_and_check(runtime: Runtime, first_serial: int, people: int) -> bool:
    urls = {process.name: runtime.service_url(process.name) for process in runtime.processes}
    async with Platform(runtime, urls) as platform:
        await _load_county(platform, first_serial, people)
        await demonstration.run_all(platform, Transcript())
        print("\nNow every decision is computed again, and all stores and topics are compared.")
        report = await check_all(runtime, wait_seconds=WAIT_SECONDS, say=show_progress)
    show_progress("")
    print(report.text())
    return report.ok


async def _load_county(platform: Platform, first_serial: int, people: int) -> None:
    """Push `people` new elders in two counties of Qujing, with their households."""
    made = county(first_serial + 1, people, [QILIN, XUANWEI], platform.today(), first_serial=first_serial)
    events = list(made.initial_load())
    began = monotonic()
    for code in (QILIN, XUANWEI):
        await register_provider(platform, code)
    await platform.push(*events)
    seconds = monotonic() - began
    print(f"{people} synthetic elders of Qujing, {len(events)} events by HTTP: {seconds:.1f} s")


def _print_addresses(runtime: Runtime) -> None:
    print(f"""
The platform stays up; business time is {clock.shown(runtime.home)}.
  console   {runtime.service_url("console")}
  token     {issue_token("officer", division=CITY)}
  stop      make down (keeps the data), make clean (removes it)""")
