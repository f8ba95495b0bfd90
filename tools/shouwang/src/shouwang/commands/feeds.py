"""`shouwang feeds`: the front-end tables that ingestion reads and how they stand; read one now."""

import argparse
from collections.abc import Sequence
from typing import Any

import httpx
from shell.access.auth import issue_token

from shouwang.runtime.problems import LocalProblem

COUNTS = ("accepted", "unchanged", "quarantined", "rejected", "ended")


def main(arguments: Sequence[str]) -> int:
    """Exit 0; 1 when a table cannot be read or waits for an officer, or a file is no feed."""
    given = _parser().parse_args(arguments)
    from shouwang.runtime.machine import local_runtime

    return 0 if feeds(given, local_runtime().service_url("ingestion")) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang feeds", description=__doc__)
    actions = parser.add_subparsers(dest="action")
    run = actions.add_parser("run", help="read a table now")
    run.add_argument("feed")
    run.add_argument("--from-start", action="store_true", help="read all of it again; what it said before stays")
    return parser


def feeds(given: argparse.Namespace, url: str) -> bool:
    """True if all is well."""
    headers = {"authorization": f"Bearer {issue_token('admin')}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
            if given.action == "run":
                return _run(client, given)
            found = client.get("/v1/feeds").raise_for_status().json()
    except httpx.HTTPStatusError as refused:
        raise LocalProblem(refused.response.json()["detail"]) from refused
    except httpx.HTTPError as away:
        raise LocalProblem("ingestion does not answer: start it with `shouwang up`") from away
    for feed in found["feeds"]:
        print(_line(feed))
    for file in found["faulty"]:
        for problem in file["problems"]:
            print(f"{file['file']}: {problem['pointer'] or '/'}: {problem['detail']}")
    return not found["faulty"] and not any(f["problem"] for f in found["feeds"])


def _run(client: httpx.Client, given: argparse.Namespace) -> bool:
    answer = client.post(f"/v1/feeds/{given.feed}/run", json={"from_start": given.from_start})
    print(_line(answer.raise_for_status().json()))
    return True


def _line(feed: dict[str, Any]) -> str:
    run = feed["last_run"]
    counts = ", ".join(f"{run[name]} {name}" for name in COUNTS if run[name]) if run else "never read"
    told = f" – {feed['problem']['detail']} {feed['problem']['more'] or ''}".rstrip() if feed["problem"] else ""
    rejects = f", {feed['rejects']} rows refused as they stand" if feed["rejects"] else ""
    return f"{feed['feed']} ({feed['mode']}): {feed['state']}, {counts or 'nothing new'}{rejects}{told}"
