"""A county from a file, and its lists edited: how fast, and in how much memory, whatever the size of the file.

Two files go through the import door one after the other, the second four times as long, so that memory that grew with
the file would show. Then three edits of a list, with two replicas of identification and everything downstream:

- `look`: everybody has to be looked at, nobody's decision changes (an amount for days when nobody was old enough);
- `everybody`: everybody's decision changes (another allowance for the old, which all will be one day);
- `few`: one item of some 5 % (more, and for one level more, for the severely disabled).
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import synth
from shell import clock
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import SERVICES
from synth.identity import Numbers

from benchmarks import home
from benchmarks.figures import ratio
from benchmarks.home import say
from benchmarks.quiet import Watcher, until_quiet
from benchmarks.usage import Meter

DIVISION, CITY = "530302", "530300"
SEED = 11
BLOCK = 20_000  # people made at once
CHUNK_BYTES = 1 << 20
SMALL_SHARE = 5  # the first file holds one in five
QUIET_SECONDS_MAX = 4 * 3600
ASK_SECONDS, TELL_SECONDS = 0.1, 5.0
IMPORT_ASK_SECONDS = 1.0
Change = Callable[[dict[str, Any]], None]  # of the list as a plain dictionary


@dataclass(frozen=True)
class File:
    path: Path
    people: int
    rows: int


def measure(people: int) -> dict[str, Any]:
    """`people` in all, then the three edits."""
    with home.fresh_home("county") as folder:
        say(f"county: {people:,} people from files")
        sizes = (people // SMALL_SHARE, people - people // SMALL_SHARE)
        numbers = Numbers()  # nobody has the ID number of somebody in the other file
        files = [_write(folder, name, numbers, *size) for name, size in _sized(("small", "large"), sizes)]
        with home.platform(folder) as runtime:
            home.register_providers(runtime, home.admin_token())
            loads = {file.path.stem: asyncio.run(_load(runtime, file)) for file in files}
            runtime.start_service("identification", replica=1)
            runtime.wait_ready("identification", replica=1)
            edits = {name: asyncio.run(_edit(runtime, name, *edit)) for name, edit in EDITS.items()}
            _require_everybody(runtime, people, edits)
    growth = [ratio(loads["large"]["memory_mb"][s], loads["small"]["memory_mb"][s]) or 0 for s in SERVICES]
    return {
        "county": {
            "people": people,
            "load": loads,
            "memory_growth": max(growth),
            "redecide": edits,
            "few_share": ratio(edits["few"]["touched"], people),
            "few_time_to_everybody": ratio(edits["few"]["seconds"], edits["everybody"]["seconds"]),
            "few_time_to_look": ratio(edits["few"]["seconds"], edits["look"]["seconds"]),
        }
    }


# --- files ---


def _sized(names: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, int]]]:
    """By name the number of the first person and how many."""
    first = 0
    for name, size in zip(names, sizes, strict=True):
        yield name, (first, size)
        first += size


def _write(folder: Path, name: str, numbers: Numbers, first: int, people: int) -> File:
    """NDJSON of what all registers hold of these people, written block by block."""
    folder.mkdir(parents=True, exist_ok=True)
    path, rows = folder / f"{name}.ndjson", 0
    encode, today = msgspec.json.Encoder().encode, clock.today() - timedelta(days=1)
    with path.open("wb") as out:
        for start in range(first, first + people, BLOCK):
            size = min(BLOCK, first + people - start)
            lines = [encode(event) for event in _county(start, size, today, numbers)]
            out.write(b"\n".join(lines) + b"\n")
            rows += len(lines)
    say(f"  {name}: {people:,} people, {rows:,} rows, {path.stat().st_size / 2**20:,.0f} MB")
    return File(path, people, rows)


def _county(first: int, size: int, today: Any, numbers: Numbers) -> Iterator[dict[str, Any]]:
    yield from synth.county(SEED + first, size, (DIVISION,), today, numbers, first).initial_load()


async def _load(runtime: Runtime, file: File) -> dict[str, Any]:
    """Through the import door, until the last store is quiet."""
    watcher = Watcher(runtime, home.stateful(runtime))
    await watcher.open()
    meter = Meter(runtime.running())
    done = asyncio.Event()
    try:
        began = time.monotonic()
        waiting = asyncio.create_task(until_quiet(watcher, QUIET_SECONDS_MAX, _sparing(), done))
        await asyncio.to_thread(_import, runtime, file)
        read = time.monotonic()
        done.set()
        quiet = await waiting
    finally:
        usage = meter.stop()
        await watcher.close()
    seconds = quiet - began
    say(f"  {file.path.stem}: quiet after {seconds:.0f} s, {file.people / seconds:,.0f} people/s")
    return {
        "people": file.people,
        "rows": file.rows,
        "megabytes": round(file.path.stat().st_size / 2**20),
        "seconds": round(seconds, 1),
        "rows_per_s": round(file.rows / seconds),
        "people_per_s": round(file.people / seconds),
        "door_rows_per_s": round(file.rows / (read - began)),
        **usage,
    }


def _import(runtime: Runtime, file: File) -> None:
    """Send the file and follow it to its end. Raises RuntimeError unless every row is in."""
    headers = {"content-type": "application/octet-stream"}
    with _client(runtime, "ingestion", role="admin") as client:
        told = client.post("/v1/imports", content=_chunks(file.path), headers=headers).raise_for_status().json()
        while told["state"] not in ("done", "failed"):
            time.sleep(IMPORT_ASK_SECONDS)
            told = client.get(f"/v1/imports/{told['import_id']}").raise_for_status().json()
    if told["state"] != "done" or told["accepted"] != file.rows:
        raise RuntimeError(f"of {file.rows:,} rows {told['accepted']:,} were accepted ({told['state']})")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while part := content.read(CHUNK_BYTES):
            yield part


# --- edits ---


def _look(body: dict[str, Any]) -> None:
    versions = body["items"]["longevity_allowance"]["versions"]
    long_ago = {"valid_from": "1990-01-01", "valid_to": "1991-01-01", "conditions": {"age_years_min": 110}}
    versions.insert(0, {**versions[0], **long_ago, "amount": {"flat_fen": 100}})


def _raise(body: dict[str, Any]) -> None:
    for band in body["items"]["longevity_allowance"]["versions"][-1]["amount"]["bands"]:
        band["amount_fen"] += 1_000


def _widen_for_few(body: dict[str, Any]) -> None:
    version = body["items"]["severe_disability_nursing_subsidy"]["versions"][-1]
    version["amount"]["flat_fen"] += 1_000
    version["conditions"] = {"all_of": [{"age_years_min": 60}, {"disability": {"levels": [1, 2, 3]}}]}


EDITS: Mapping[str, tuple[str, Change]] = {
    "look": (DIVISION, _look),
    "few": (CITY, _widen_for_few),
    "everybody": (DIVISION, _raise),
}


async def _edit(runtime: Runtime, name: str, area: str, change: Change) -> dict[str, Any]:
    """Publish, follow it until everybody is decided, and until the chain is quiet."""
    watcher = Watcher(runtime, home.stateful(runtime))
    await watcher.open()
    try:
        version, simulated = await asyncio.to_thread(_publish, runtime, name, area, change)
        told = await asyncio.to_thread(_follow, runtime, name, version)
        quiet = await until_quiet(watcher, QUIET_SECONDS_MAX, _sparing())
    finally:
        await watcher.close()
    published, found, done = (
        datetime.fromisoformat(told[key]) for key in ("published_at", "selected_at", "redecided_at")
    )
    seconds = (done - published).total_seconds()
    chain = max(seconds, quiet - time.monotonic() + (clock.now() - published).total_seconds())
    say(f"  {name}: {told['people']:,} people in {seconds:.1f} s, quiet after {chain:.0f} s")
    return {
        "simulated_seconds": round(simulated, 1),
        "touched": told["people_touched"],
        "changed": told["people_changed"],
        "found_seconds": round((found - published).total_seconds(), 2),
        "seconds": round(seconds, 2),
        "people_per_s": round(told["people"] / seconds),
        "chain_seconds": round(chain, 1),
        "chain_people_per_s": round(told["people_changed"] / chain),
    }


def _publish(runtime: Runtime, name: str, area: str, change: Change) -> tuple[str, float]:
    """The way an office does it: proposed, simulated, signed twice, published. The version, and how many seconds the
    simulation of its first year took."""
    with _client(runtime, "identification", role="officer", division=area, subject="proposer") as officer:
        body = officer.get(f"/v1/policies/{area}").raise_for_status().json()["list"]
        change(body)
        version: str = officer.post("/v1/policies", json=body).raise_for_status().json()["version"]
        simulated = _simulate(officer, name, version)
    for who, what in (("first", "approve"), ("second", "approve"), ("second", "publish")):
        with _client(runtime, "identification", role="approver", division=area, subject=who) as approver:
            approver.post(f"/v1/policies/{version}/{what}").raise_for_status()
    return version, simulated


def _simulate(officer: httpx.Client, name: str, version: str) -> float:
    told = officer.post("/v1/simulations", json={"version": version}).raise_for_status().json()
    tell, deadline = _sparing(), time.monotonic() + QUIET_SECONDS_MAX
    while told["state"] in ("waiting", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not simulated within {QUIET_SECONDS_MAX} s")
        tell(f"  {name}: {told['chunks_done']} of {told['chunks']} chunks simulated")
        time.sleep(ASK_SECONDS)
        told = officer.get(f"/v1/simulations/{told['simulation_id']}").raise_for_status().json()
    if told["state"] != "complete":
        raise RuntimeError(f"the simulation of {name} failed: {told['fault']}")
    asked, done = (datetime.fromisoformat(told[key]) for key in ("requested_at", "completed_at"))
    return (done - asked).total_seconds()


def _follow(runtime: Runtime, name: str, version: str) -> dict[str, Any]:
    tell = _sparing()
    with _client(runtime, "identification", role="auditor", division="000000") as client:
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        while time.monotonic() < deadline:
            told: dict[str, Any] = client.get(f"/v1/policies/{version}/redecision").raise_for_status().json()
            if told["redecided_at"] is not None:
                return told
            tell(f"  {name}: {told['people']:,} of {told['people_touched']:,}, {told['people_changed']:,} changed")
            time.sleep(ASK_SECONDS)
    raise TimeoutError(f"not decided within {QUIET_SECONDS_MAX} s")


def _require_everybody(runtime: Runtime, people: int, edits: Mapping[str, Mapping[str, Any]]) -> None:
    """A figure of people who were not there would be worthless."""
    for name, changed in (("look", 0), ("everybody", people)):
        if (edits[name]["touched"], edits[name]["changed"]) != (people, changed):
            raise RuntimeError(f"{name} touched {edits[name]['touched']:,} and changed {edits[name]['changed']:,}")


def _client(runtime: Runtime, service: str, **caller: Any) -> httpx.Client:
    from shell.access.auth import issue_token  # reads the home when it is imported

    headers = {"authorization": f"Bearer {issue_token(**caller)}"}
    return httpx.Client(base_url=runtime.service_url(service), headers=headers, timeout=600, trust_env=False)


def _sparing() -> Callable[[str], None]:
    """`say`, but no oftener than every few seconds."""
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            say(line)

    return tell
