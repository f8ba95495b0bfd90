"""`shouwang parked`: what could not be processed, by service; look at it, and replay it when its cause is gone."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
from shell.access.auth import issue_token

from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

PAGE = 500


def main(arguments: Sequence[str]) -> int:
    """Exit 0; 1 when something that was replayed failed again."""
    given = _parser().parse_args(arguments)
    from shouwang.runtime.machine import local_runtime

    runtime = local_runtime()
    if given.action == "replay":
        return _replay(runtime, given.service, given.parked_id)
    found = list(_waiting(runtime, given.parked_id if given.action == "show" else None))
    for service, row in found:
        print(_line(service, row))
    print(f"{len(found)} records wait")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang parked", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="everything that waits, the oldest first")
    listed.set_defaults(parked_id=None)
    shown = actions.add_parser("show", help="one record: where it came from and why it waits, never what is in it")
    shown.add_argument("parked_id")
    replay = actions.add_parser("replay", help="process again, the oldest first: all of a service, or one record")
    replay.add_argument("service")
    replay.add_argument("parked_id", nargs="?")
    return parser


def _client(runtime: Runtime, service: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {issue_token('admin')}"}
    return httpx.Client(base_url=runtime.service_url(service), headers=headers, timeout=60, trust_env=False)


def _of(client: httpx.Client, service: str) -> list[dict[str, Any]]:
    """All records of one service, the oldest first."""
    rows: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        try:
            answer = client.get("/v1/parked", params={"limit": PAGE} | ({"after": after} if after else {}))
        except httpx.HTTPError as away:
            raise LocalProblem(f"{service} does not answer: start it with `shouwang up`") from away
        page = answer.raise_for_status().json()
        rows += page["parked"]
        after = page["next"]
        if after is None:
            return sorted(rows, key=lambda row: (row["parked_at"], row["offset"]))


def _waiting(runtime: Runtime, parked_id: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for process in runtime.processes:
        if process.database:
            with _client(runtime, process.name) as client:
                yield from (
                    (process.name, row) for row in _of(client, process.name) if parked_id in (None, row["parked_id"])
                )


def _line(service: str, row: dict[str, Any]) -> str:
    place = f"{row['topic']}[{row['part']}]@{row['offset']}"
    why = row["reason"] + (f" ({row['error_type']})" if row["error_type"] else "")
    return f"{row['parked_at']}  {service:<14}  {place:<42}  {why:<28}  {row['parked_id']}"


def _replay(runtime: Runtime, service: str, parked_id: str | None) -> int:
    if service not in {process.name for process in runtime.processes if process.database}:
        raise LocalProblem(f"there is no service {service}")
    failed = 0
    with _client(runtime, service) as client:
        chosen = [row for row in _of(client, service) if parked_id in (None, row["parked_id"])]
        for row in chosen:
            answer = client.post(f"/v1/parked/{row['parked_id']}/replay")
            well = answer.is_success and answer.json()["state"] == "replayed"
            failed += not well
            told = "replayed" if well else answer.json().get("detail", "failed again")
            print(f"{row['parked_id']}  {told}")
    print(f"{len(chosen) - failed} replayed, {failed} still wait")
    return 1 if failed else 0
