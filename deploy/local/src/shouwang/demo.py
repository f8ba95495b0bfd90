"""`shouwang demo`: start everything, load a synthetic sample county, tell the stories, check everything.

With `--once` all of it is stopped again and the exit code says whether every story came true; otherwise the platform
stays up. A demonstration pays amounts that are only examples, so it wants a home of its own: a new one, or that of an
earlier demonstration, in which new people appear and time goes on.
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

from common import clock as business
from common.auth import issue_token
from synth import county

from shouwang import clock, lifecycle
from shouwang.problems import LocalProblem
from shouwang.runtime import Runtime
from shouwang.stories.people import CITY, QILIN, XUANWEI
from shouwang.stories.platform import Platform
from shouwang.stories.providers import register_provider
from shouwang.stories.tales import tell_all
from shouwang.stories.telling import StoryFailed, Teller
from shouwang.verify import as_this_home, check_all, progress

PEOPLE: Final = 240
WAIT_SECONDS: Final = 30.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="shouwang demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="stop everything at the end; exit 1 if a story fails")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"elders of the sample county ({PEOPLE})")
    given = parser.parse_args(argv)
    from shouwang.cli import local_runtime

    started = monotonic()
    runtime = local_runtime()
    run = _begin(runtime)
    well = False
    try:
        print("守望 Shouwang, a demonstration. Everybody in it is synthetic.\n")
        lifecycle.up(runtime, business_time=_evening_before_the_last_day(runtime).isoformat())
        as_this_home(runtime)
        print(f"\neverything runs after {monotonic() - started:.1f} s")
        well = asyncio.run(_tell_and_check(runtime, run, given.people))
    except StoryFailed as failed:
        print(f"\nA story did not come true: {failed}", file=sys.stderr)
    finally:
        if given.once:
            lifecycle.down(runtime)
    print(f"\n{'every story came true' if well else 'NOT everything came true'}; {monotonic() - started:.1f} s in all")
    if not given.once:
        _stays_up(runtime)
    return 0 if well else 1


def _begin(runtime: Runtime) -> int:
    """The number of this demonstration in its home, from 0. Raises LocalProblem in a home that is for real work."""
    file = runtime.demo_file
    if not file.exists() and (runtime.home / "postgres").exists():
        raise LocalProblem(
            f"{runtime.home} holds data that is no demonstration's, and a demonstration would pay example amounts in "
            "it: run `make clean` to remove it, or set SHOUWANG_HOME to another folder."
        )
    run = int(file.read_text()) + 1 if file.exists() else 0
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(run))
    os.environ["SHOUWANG_DEMO"] = "1"
    return run


def _evening_before_the_last_day(runtime: Runtime) -> datetime:
    """23:59 of the last day but one of the month that is running, or of the next: the first midnight of the stories is
    a birthday, the second begins a month."""
    now = clock.business_time(runtime.home)
    first = business.month_of(now.date())
    for months in (1, 2):
        last_day = business.start_of_day(business.add_months(first, months)) - timedelta(days=1)
        evening = last_day - timedelta(minutes=1)
        if evening >= now:
            return evening.astimezone(business.SHANGHAI)
    raise AssertionError("one of two months has an evening to come")


async def _tell_and_check(runtime: Runtime, run: int, people: int) -> bool:
    tell = Teller()
    urls = {process.name: runtime.service_url(process.name) for process in runtime.processes}
    async with Platform(runtime.home, runtime.kafka_address, urls) as platform:
        await _load_county(platform, run, people)
        await tell_all(platform, tell)
        print("\nNow everybody is worked out from scratch, and all stores and topics are compared.")
        report = await check_all(runtime, wait_seconds=WAIT_SECONDS, say=progress)
    progress("")
    print(report.text())
    return report.ok


async def _load_county(platform: Platform, run: int, people: int) -> None:
    """`people` new elders in two counties of Qujing, with their households, through the HTTP door."""
    made = county(run + 1, people, [QILIN, XUANWEI], platform.today(), first_serial=run * people)
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
