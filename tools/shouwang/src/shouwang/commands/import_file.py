"""`shouwang import FILE`: send a file to ingestion, wait for its end, and show the result of its rows."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from shell.access.auth import issue_token

from shouwang.runtime import machine
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.service_client import ServiceClient, reason_of
from shouwang.terminal import show_progress

CHUNK_BYTES = 1024 * 1024
SECONDS_MAX = 600
ASK_SECONDS = 0.5
COUNTS = ("accepted", "duplicates", "quarantined", "rejected")
ADVICE = "the same file sent again goes on where it stopped"


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if rows were rejected or the import failed."""
    given = _parser().parse_args(arguments)
    return 0 if import_file(given, machine.local_runtime().service_url("ingestion")) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang import", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV, XLSX, NDJSON or Parquet")
    parser.add_argument("--kind", help="kind of event of every row; NDJSON of CloudEvents needs none")
    parser.add_argument("--source", metavar="URN", help="source of the file; NDJSON of CloudEvents needs none")
    parser.add_argument(
        "--mapping", metavar="M", help="a JSON object, or a file of JSON or YAML: columns, defaults, codes, dates …"
    )
    parser.add_argument(
        "--format", choices=("csv", "xlsx", "ndjson", "parquet"), help="needed if the file does not show it"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end of the import")
    return parser


def import_file(given: argparse.Namespace, url: str) -> bool:
    """Send the file to ingestion at `url` and print the result.

    Returns True if the import has not failed and no row was rejected. With `--no-wait` this is the state right after
    the upload. Raises LocalProblem.
    """
    token = issue_token("source", source=given.source) if given.source else issue_token("admin")
    wanted = {"kind": given.kind, "format": given.format, "mapping": _mapping(given.mapping)}
    params = {name: value for name, value in wanted.items() if value}
    with ServiceClient("ingestion", url, token, seconds_max=SECONDS_MAX, advice=ADVICE) as client:
        job = _send(client, given.file, params)
        print(f"import {job['import_id']}")
        if not given.no_wait:
            job = _wait_for_end(client, job)
    _print_result(job, url)
    return bool(job["state"] != "failed" and job["rejected"] == 0)


def _mapping(given: str | None) -> str | None:
    """Return the mapping as JSON. An argument that begins with `{` is the mapping; any other argument names its file.
    Raises LocalProblem."""
    if given is None:
        return None
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
        return json.dumps(yaml.safe_load(text), ensure_ascii=False, default=str)
    except OSError as error:
        raise LocalProblem(
            f"The mapping {given} cannot be read ({error.strerror}): name a file or give JSON."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise LocalProblem(f"The mapping {given} is neither JSON nor YAML.") from None


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while part := content.read(CHUNK_BYTES):
            yield part


def _send(client: ServiceClient, file: Path, params: dict[str, str]) -> dict[str, Any]:
    """Upload the file; returns the import (JSON). Raises LocalProblem if the file is unreadable or rejected."""
    try:
        length = file.stat().st_size
        headers = {"content-type": "application/octet-stream", "content-length": str(length)}
        answer = client.request("POST", "/v1/imports", params=params, content=_chunks(file), headers=headers)
    except OSError as error:
        raise LocalProblem(f"{file} cannot be read ({error.strerror}): name a file of rows or events.") from None
    if answer.is_error:
        raise LocalProblem(f"Ingestion rejected the file with {answer.status_code}: {reason_of(answer)}")
    job: dict[str, Any] = answer.json()
    return job


def _wait_for_end(client: ServiceClient, job: dict[str, Any]) -> dict[str, Any]:
    while job["state"] not in ("done", "failed"):
        time.sleep(ASK_SECONDS)
        job = client.json("GET", f"/v1/imports/{job['import_id']}")
        percent = 100 * job["bytes_read"] // max(job["bytes"], 1)
        show_progress(f"{job['rows_read']} rows, {percent} %")
    show_progress("")
    return job


def _print_result(job: dict[str, Any], url: str) -> None:
    counts = ", ".join(f"{job[name]} {name}" for name in COUNTS)
    print(f"{job['state']}: {job['rows_read']} rows, {counts}")
    if job["tables_skipped"]:
        print(f"{job['tables_skipped']} sheets without a readable header were left out")
    for problem in job["problems"]:
        print(_problem_line(problem))
    if job["rejects"]:
        print(f"rejected rows with their reasons: {url.rstrip('/')}{job['rejects']}")


def _problem_line(problem: dict[str, Any]) -> str:
    line = f"{problem['code']}: {problem['detail_zh']}"
    return f"{line} {json.dumps(problem['more'], ensure_ascii=False)}" if problem["more"] else line
