"""Writes the files of a county, and imports them through `POST /v1/imports`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import synth
from shell import clock
from shouwang.runtime.machine import Runtime
from synth.identity import Numbers

from benchmarks.county.caller import client, poll
from benchmarks.home import progress

DIVISION = "530302"
SEED = 11
BLOCK_PEOPLE = 20_000  # people who are made at once
CHUNK_BYTES = 1 << 20
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class File:
    """An NDJSON file with all register events of `people` people; one event per row."""

    path: Path
    people: int
    rows: int

    @property
    def megabytes(self) -> float:
        return self.path.stat().st_size / 2**20


def write_files(folder: Path, sizes: dict[str, int]) -> list[File]:
    """Write one file per name in `sizes`, with that number of people. No ID number is in two files."""
    numbers = Numbers()
    files, first = [], 0
    for name, people in sizes.items():
        files.append(_write_file(folder / f"{name}.ndjson", numbers, first, people))
        first += people
    return files


def _write_file(path: Path, numbers: Numbers, first: int, people: int) -> File:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as out:
        for start in range(first, first + people, BLOCK_PEOPLE):
            size = min(BLOCK_PEOPLE, first + people - start)
            lines = [encode(event) for event in _events(start, size, numbers)]
            out.write(b"\n".join(lines) + b"\n")
            rows += len(lines)
    file = File(path, people, rows)
    progress(f"  {path.stem}: {people:,} people, {rows:,} rows, {file.megabytes:,.0f} MB")
    return file


def _events(first: int, size: int, numbers: Numbers) -> Iterator[dict[str, Any]]:
    """The register events of `size` people. `first` is the serial number of the first person."""
    yesterday = clock.today() - timedelta(days=1)
    yield from synth.county(SEED + first, size, (DIVISION,), yesterday, numbers, first).initial_load()


def import_file(runtime: Runtime, file: File) -> None:
    """Send the file and wait until it is imported. Raises RuntimeError unless every row is accepted."""
    headers = {"content-type": "application/octet-stream"}
    with client(runtime, "ingestion", role="admin") as admin:
        answer = admin.post("/v1/imports", content=_chunks(file.path), headers=headers)
        import_id = answer.raise_for_status().json()["import_id"]
        status = poll(admin, f"/v1/imports/{import_id}", _is_imported, every_seconds=POLL_SECONDS)
    if status["state"] != "done" or status["accepted"] != file.rows:
        raise RuntimeError(f"of {file.rows:,} rows {status['accepted']:,} were accepted ({status['state']})")


def _is_imported(status: dict[str, Any]) -> bool:
    return status["state"] in ("done", "failed")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk
