"""`shouwang feeds`: list the front-end tables that ingestion reads and their state; read one now."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from shell.access.auth import issue_token

from shouwang.runtime import machine
from shouwang.runtime.service_client import ServiceClient

COUNTS = ("accepted", "unchanged", "quarantined", "rejected", "ended")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0.

    The list returns 1 if a table has a problem or waits for an officer, or if a file is no feed.
    """
    given = _parser().parse_args(arguments)
    return 0 if feeds(given, machine.local_runtime().service_url("ingestion")) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang feeds", description=__doc__)
    actions = parser.add_subparsers(dest="action")
    run = actions.add_parser("run", help="read a table now")
    run.add_argument("feed")
    run.add_argument("--from-start", action="store_true", help="read all rows again; earlier facts stay")
    return parser


def feeds(given: argparse.Namespace, url: str) -> bool:
    """Print all feeds, or request a reading of one (`run`). False: the list shows a problem of a feed or a file."""
    with ServiceClient("ingestion", url, issue_token("admin")) as client:
        if given.action == "run":
            body = {"from_start": given.from_start}
            print(_line(client.json("POST", f"/v1/feeds/{given.feed}/run", json=body)))
            return True
        found = client.json("GET", "/v1/feeds")
    for feed in found["feeds"]:
        print(_line(feed))
    for fault in _faults(found["faulty"]):
        print(fault)
    return not found["faulty"] and not any(feed["problem"] for feed in found["feeds"])


def _faults(files: list[dict[str, Any]]) -> Iterator[str]:
    for file in files:
        for problem in file["problems"]:
            yield f"{file['file']}: {problem['pointer'] or '/'}: {problem['detail']}"


def _line(feed: dict[str, Any]) -> str:
    parts = [f"{feed['feed']} ({feed['mode']}): {feed['state']}", _last_run(feed["last_run"])]
    if feed["rejects"]:
        parts.append(f"{feed['rejects']} rows still rejected")
    problem = feed["problem"]
    suffix = f" – {problem['detail']} {problem['more'] or ''}".rstrip() if problem else ""
    return ", ".join(parts) + suffix


def _last_run(run: dict[str, int] | None) -> str:
    if run is None:
        return "never read"
    return ", ".join(f"{run[name]} {name}" for name in COUNTS if run[name]) or "nothing new"
