"""`shouwang send FILE`: push a file of CloudEvents through ingestion's HTTP door, and say what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from shell.access.auth import issue_token

from shouwang.runtime.problems import LocalProblem

BATCH_EVENTS_MAX = 500
SECONDS_MAX = 60
COUNTS = ("received", "accepted", "duplicates", "quarantined", "rejected")


def read_events(file: Path) -> Iterator[dict[str, Any]]:
    """The events of a JSON array or of NDJSON. Raises LocalProblem for anything else."""
    try:
        with file.open(encoding="utf-8") as lines:
            is_array = lines.read(1) == "["
            lines.seek(0)
            if is_array:
                yield from _parse(file, 1, lines.read())
                return
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parse(file, number, line.rstrip())
    except OSError as error:
        raise LocalProblem(f"{file} cannot be read ({error.strerror}): name a file of events.") from None
    except UnicodeDecodeError:
        raise LocalProblem(f"{file} is not UTF-8: convert it first.") from None


def _parse(file: Path, first_line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise LocalProblem(
            f"{file}, line {first_line + error.lineno - 1}, is not JSON ({error.msg}): "
            "send NDJSON, or one JSON array of events."
        ) from None


def send(file: Path, url: str) -> bool:
    """Send in batches; print the sum of the receipts and every problem; True if nothing was rejected."""
    totals: Counter[str] = Counter()
    events = read_events(file)
    with httpx.Client(base_url=url, timeout=SECONDS_MAX, trust_env=False) as client:
        while batch := list(islice(events, BATCH_EVENTS_MAX)):
            receipt = _post(client, batch)
            totals.update({name: receipt[name] for name in COUNTS})
            _print_problems(receipt["results"])
    print(", ".join(f"{totals[name]} {name}" for name in COUNTS))
    return totals["rejected"] == 0


def _post(client: httpx.Client, batch: list[dict[str, Any]]) -> dict[str, Any]:
    # a file may hold the events of several sources; each source may only push its own, the local admin all
    headers = {
        "content-type": "application/cloudevents-batch+json",
        "authorization": f"Bearer {issue_token('admin')}",
    }
    try:
        answer = client.post("/v1/events", content=json.dumps(batch, ensure_ascii=False).encode(), headers=headers)
    except httpx.HTTPError as error:
        raise LocalProblem(
            f"Ingestion at {client.base_url} does not answer ({type(error).__name__}): run `shouwang up`."
        ) from None
    if answer.status_code != 202:
        raise LocalProblem(f"Ingestion refused the batch with {answer.status_code}: {answer.text[:500]}")
    receipt: dict[str, Any] = answer.json()
    return receipt


def _print_problems(results: list[dict[str, Any]]) -> None:
    # by event_id: a source's own id may hold an ID number
    for result in results:
        for problem in result.get("problems") or []:
            print(f"{result['status']} {result.get('event_id')} {problem.get('pointer')} {problem.get('code')}")
