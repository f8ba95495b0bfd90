"""`shouwang import FILE`: send a file through ingestion's import door, follow it, and say what became of its rows."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from shell.access.auth import issue_token

from shouwang.runtime.problems import LocalProblem

CHUNK_BYTES = 1024 * 1024
SECONDS_MAX = 600
ASK_SECONDS = 0.5
COUNTS = ("accepted", "duplicates", "quarantined", "rejected")


def main(arguments: Sequence[str]) -> int:
    """Exit 0; 1 when rows were rejected or the file could not be worked through."""
    given = _parser().parse_args(arguments)
    from shouwang.runtime.machine import local_runtime

    return 0 if import_file(given, local_runtime().service_url("ingestion")) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang import", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV, XLSX, NDJSON or Parquet")
    parser.add_argument("--kind", help="kind of event of every row; NDJSON of CloudEvents needs none")
    parser.add_argument("--source", metavar="URN", help="whose file it is; NDJSON of CloudEvents may leave it out")
    parser.add_argument(
        "--mapping", metavar="M", help="JSON or YAML, or a file of it: columns, defaults, codes, dates …"
    )
    parser.add_argument(
        "--format", choices=("csv", "xlsx", "ndjson", "parquet"), help="where the file does not show it"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not follow it to its end")
    return parser


def import_file(given: argparse.Namespace, url: str) -> bool:
    """True if all rows are in."""
    token = issue_token("source", source=given.source) if given.source else issue_token("admin")
    wanted = {"kind": given.kind, "format": given.format, "mapping": _mapping(given.mapping)}
    params = {name: value for name, value in wanted.items() if value}
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=SECONDS_MAX, trust_env=False) as client:
        found = _send(client, given.file, params)
        print(f"import {found['import_id']}")
        while not given.no_wait and found["state"] not in ("done", "failed"):
            time.sleep(ASK_SECONDS)
            found = _ask(client, found["import_id"])
            _say_progress(found)
    _report(found, url)
    return bool(found["state"] != "failed" and found["rejected"] == 0)


def _mapping(given: str | None) -> str | None:
    """The mapping as JSON, from the words themselves or from a file. Raises LocalProblem."""
    if given is None:
        return None
    text = given
    try:
        if not given.lstrip().startswith("{"):
            text = Path(given).read_text(encoding="utf-8")
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


def _send(client: httpx.Client, file: Path, params: dict[str, str]) -> dict[str, Any]:
    try:
        length = file.stat().st_size
        headers = {"content-type": "application/octet-stream", "content-length": str(length)}
        answer = client.post("/v1/imports", params=params, content=_chunks(file), headers=headers)
    except OSError as error:
        raise LocalProblem(f"{file} cannot be read ({error.strerror}): name a file of rows or events.") from None
    except httpx.HTTPError as error:
        raise _away(client, error) from None
    if answer.status_code != 202:
        raise LocalProblem(f"Ingestion refused the file: {_why(answer)}")
    found: dict[str, Any] = answer.json()
    return found


def _why(answer: httpx.Response) -> str:
    try:
        told = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    parts = [f"{p['pointer']} {p['code']}: {p['detail']}".strip() for p in told.get("problems", [])]
    return "; ".join([f"{told.get('code')}: {told.get('detail')}", *parts])


def _ask(client: httpx.Client, import_id: str) -> dict[str, Any]:
    try:
        answer = client.get(f"/v1/imports/{import_id}").raise_for_status()
    except httpx.HTTPError as error:
        raise _away(client, error) from None
    found: dict[str, Any] = answer.json()
    return found


def _away(client: httpx.Client, error: httpx.HTTPError) -> LocalProblem:
    return LocalProblem(
        f"Ingestion at {client.base_url} does not answer ({type(error).__name__}): run `shouwang up`; "
        "the same file sent again goes on where it stopped."
    )


def _say_progress(found: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        share = 100 * found["bytes_read"] // max(found["bytes"], 1)
        print(f"\r{found['rows_read']} rows, {share} %", end="", file=sys.stderr, flush=True)


def _report(found: dict[str, Any], url: str) -> None:
    print(f"{found['state']}: {found['rows_read']} rows, " + ", ".join(f"{found[name]} {name}" for name in COUNTS))
    if found["tables_skipped"]:
        print(f"{found['tables_skipped']} sheets without a header that was understood were left out")
    for problem in found["problems"]:
        more = f" {json.dumps(problem['more'], ensure_ascii=False)}" if problem["more"] else ""
        print(f"{problem['code']}: {problem['detail_zh']}{more}")
    if found["rejects"]:
        print(f"rejected rows with their reasons: {url.rstrip('/')}{found['rejects']}")
