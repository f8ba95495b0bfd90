"""Imports a county from two files and edits its lists. Memory must not grow with the size of the file.

The second file is four times as large as the first. The edits run with two replicas of identification and with all
services downstream.
"""

import asyncio
import time
from collections.abc import Mapping

from shell import clock
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import SERVICES

from benchmarks import home
from benchmarks.county.caller import SparseProgress
from benchmarks.county.edits import EDITS, Edit, Redecision, publish, wait_until_decided
from benchmarks.county.files import File, import_file, write_files
from benchmarks.figures import Figures, ratio
from benchmarks.home import progress
from benchmarks.providers import register_providers
from benchmarks.quiet import time_until_quiet, wait_until_quiet, watching
from benchmarks.usage import Meter

SMALL_SHARE = 5  # the first file has one person in five
QUIET_SECONDS_MAX = 4 * 3600


def measure(people: int) -> Figures:
    """Load `people` people from two files, then publish the three edits."""
    with home.fresh_home("county") as folder:
        progress(f"county: {people:,} people from files")
        small = people // SMALL_SHARE
        files = write_files(folder, {"small": small, "large": people - small})
        with home.platform(folder) as runtime:
            register_providers(runtime, home.admin_token())
            loads = {file.path.stem: asyncio.run(_load(runtime, file)) for file in files}
            runtime.start_service("identification", replica=1)
            runtime.wait_ready("identification", replica=1)
            edits = {name: asyncio.run(_edit(runtime, name, edit)) for name, edit in EDITS.items()}
    _require_effects(people, edits)
    return {"county": _county_figures(people, loads, edits)}


def _county_figures(people: int, loads: Mapping[str, Figures], edits: Mapping[str, Figures]) -> Figures:
    few_seconds = edits["few"]["seconds"]
    return {
        "people": people,
        "load": loads,
        "memory_growth": _memory_growth(loads),
        "redecide": edits,
        "few_share": ratio(edits["few"]["touched"], people),
        "few_time_to_everybody": ratio(few_seconds, edits["everybody"]["seconds"]),
        "few_time_to_look": ratio(few_seconds, edits["look"]["seconds"]),
    }


def _memory_growth(loads: Mapping[str, Figures]) -> float:
    """The largest ratio of a service's peak with the large file to its peak with the small one."""
    small, large = loads["small"]["memory_mb"], loads["large"]["memory_mb"]
    return max(ratio(large[service], small[service]) or 0 for service in SERVICES)


async def _load(runtime: Runtime, file: File) -> Figures:
    """Import a file and wait until the last service is quiet."""
    meter = Meter(runtime.running())
    try:
        async with watching(runtime) as watcher:
            push = asyncio.to_thread(import_file, runtime, file)
            timed = await time_until_quiet(watcher, push, QUIET_SECONDS_MAX, SparseProgress())
    finally:
        usage = meter.stop()
    return _load_figures(file, timed.quiet_seconds, timed.pushed_seconds) | usage


def _load_figures(file: File, seconds: float, import_seconds: float) -> Figures:
    progress(f"  {file.path.stem}: quiet after {seconds:.0f} s, {file.people / seconds:,.0f} people/s")
    return {
        "people": file.people,
        "rows": file.rows,
        "megabytes": round(file.megabytes),
        "seconds": round(seconds, 1),
        "rows_per_s": round(file.rows / seconds),
        "people_per_s": round(file.people / seconds),
        "door_rows_per_s": round(file.rows / import_seconds),
    }


async def _edit(runtime: Runtime, name: str, edit: Edit) -> Figures:
    """Publish an edit, and wait until every person is decided and the chain is quiet."""
    async with watching(runtime) as watcher:
        version, simulated_seconds = await asyncio.to_thread(publish, runtime, name, edit)
        redecision = await asyncio.to_thread(wait_until_decided, runtime, name, version)
        quiet = await wait_until_quiet(watcher, QUIET_SECONDS_MAX, report=SparseProgress())
    since_publication = (clock.now() - redecision.published_at).total_seconds()
    chain_seconds = max(redecision.seconds, since_publication - (time.monotonic() - quiet))
    figures = _edit_figures(redecision, chain_seconds)
    progress(
        f"  {name}: {redecision.decided:,} people in {redecision.seconds:.1f} s, quiet after {chain_seconds:.0f} s"
    )
    return {"simulated_seconds": round(simulated_seconds, 1), **figures}


def _edit_figures(redecision: Redecision, chain_seconds: float) -> Figures:
    return {
        "touched": redecision.touched,
        "changed": redecision.changed,
        "found_seconds": round(redecision.selected_seconds, 2),
        "seconds": round(redecision.seconds, 2),
        "people_per_s": round(redecision.decided / redecision.seconds),
        "chain_seconds": round(chain_seconds, 1),
        "chain_people_per_s": round(redecision.changed / chain_seconds),
    }


def _require_effects(people: int, edits: Mapping[str, Figures]) -> None:
    """Raise RuntimeError unless `look` and `everybody` touched all people.

    `look` must have changed nobody, and `everybody` all people. `few` is not checked.
    """
    for name, changed in (("look", 0), ("everybody", people)):
        if (edits[name]["touched"], edits[name]["changed"]) != (people, changed):
            raise RuntimeError(f"{name} touched {edits[name]['touched']:,} and changed {edits[name]['changed']:,}")
