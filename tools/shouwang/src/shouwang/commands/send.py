"""`shouwang send FILE`: push a file of CloudEvents to ingestion by HTTP and print the receipts."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from shell.access.auth import issue_token

from shouwang.runtime import machine
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.service_client import ServiceClient

BATCH_EVENTS_MAX = 500
COUNTS = ("received", "accepted", "duplicates", "quarantined", "rejected")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if an event was rejected."""
    parser = argparse.ArgumentParser(prog="shouwang send", description=__doc__)
    parser.add_argument("file", type=Path, help="NDJSON, or one JSON array of events")
    given = parser.parse_args(arguments)
    return 0 if send(given.file, machine.local_runtime().service_url("ingestion")) else 1


def send(file: Path, url: str) -> bool:
    """Send the events of a file in batches to ingestion at `url`. Print the sums of the receipts and every problem.

    Returns True if no event was rejected. Raises LocalProblem.
    """
    totals: Counter[str] = Counter()
    events = read_events(file)
    # A file may contain events of several sources. A source may push only its own events, the local admin all.
    with ServiceClient("ingestion", url, issue_token("admin")) as client:
        while batch := list(islice(events, BATCH_EVENTS_MAX)):
            receipt = _post(client, batch)
            totals.update({name: receipt[name] for name in COUNTS})
            _print_problems(receipt["results"])
    print(", ".join(f"{totals[name]} {name}" for name in COUNTS))
    return totals["rejected"] == 0


def read_events(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file: one JSON array, or NDJSON. Raises LocalProblem for other content."""
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


def _post(client: ServiceClient, batch: list[dict[str, Any]]) -> dict[str, Any]:
    headers = {"content-type": "application/cloudevents-batch+json"}
    content = json.dumps(batch, ensure_ascii=False).encode()
    return client.json("POST", "/v1/events", content=content, headers=headers)


def _print_problems(results: list[dict[str, Any]]) -> None:
    # A source's own id may contain an ID number, so the event id is printed.
    for result in results:
        for problem in result.get("problems") or []:
            print(f"{result['status']} {result.get('event_id')} {problem.get('pointer')} {problem.get('code')}")
