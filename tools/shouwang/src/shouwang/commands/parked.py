"""`shouwang parked`: list parked records by service, show one, or replay after the cause is removed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from shell.access.auth import issue_token

from shouwang.runtime import machine
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.service_client import ServiceClient

PAGE = 500


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if a replayed record failed again. Raises LocalProblem, for example if the
    record of the argument does not wait."""
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    if given.action == "replay":
        return _replay(runtime, given.service, given.parked_id)
    count = 0
    for service, row in _waiting(runtime, given.parked_id):
        print(_line(service, row))
        count += 1
    if given.parked_id is not None and not count:
        raise _not_waiting(given.parked_id)
    print(f"{count} records wait")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang parked", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="every parked record, the oldest first")
    listed.set_defaults(parked_id=None)
    shown = actions.add_parser("show", help="one record: its place and its reason, never its content")
    shown.add_argument("parked_id")
    replay = actions.add_parser("replay", help="process again, the oldest first: all of a service, or one record")
    replay.add_argument("service")
    replay.add_argument("parked_id", nargs="?")
    return parser


def _client(runtime: Runtime, service: str) -> ServiceClient:
    return ServiceClient(service, runtime.service_url(service), issue_token("admin"))


def _parked(client: ServiceClient, parked_id: str | None) -> list[dict[str, Any]]:
    """Return the parked records of one service, the oldest first. With `parked_id`: only this record."""
    rows: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": PAGE}
    while True:
        page = client.json("GET", "/v1/parked", params=params)
        rows += [row for row in page["parked"] if parked_id in (None, row["parked_id"])]
        if page["next"] is None:
            return sorted(rows, key=lambda row: (row["parked_at"], row["offset"]))
        params["after"] = page["next"]


def _waiting(runtime: Runtime, parked_id: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield service and record: every parked record of all services, or only the record `parked_id`."""
    for service in runtime.stored:
        with _client(runtime, service) as client:
            for row in _parked(client, parked_id):
                yield service, row


def _not_waiting(parked_id: str) -> LocalProblem:
    return LocalProblem(f"No parked record {parked_id} waits: see `shouwang parked list`.")


def _line(service: str, row: dict[str, Any]) -> str:
    place = f"{row['topic']}[{row['part']}]@{row['offset']}"
    reason = row["reason"]
    if row["error_type"]:
        reason += f" ({row['error_type']})"
    return f"{row['parked_at']}  {service:<14}  {place:<42}  {reason:<28}  {row['parked_id']}"


def _replay(runtime: Runtime, service: str, parked_id: str | None) -> int:
    """Replay all records of a service or one record; returns 1 if one failed again, else 0. Raises LocalProblem."""
    if service not in runtime.stored:
        raise LocalProblem(f"There is no service `{service}`: choose one of {', '.join(runtime.stored)}.")
    with _client(runtime, service) as client:
        rows = _parked(client, parked_id)
        if parked_id is not None and not rows:
            raise _not_waiting(parked_id)
        results = [_replay_one(client, row["parked_id"]) for row in rows]
    failed = results.count(False)
    print(f"{len(results) - failed} replayed, {failed} still wait")
    return 1 if failed else 0


def _replay_one(client: ServiceClient, parked_id: str) -> bool:
    """Replay one record and print the result; True if it was processed."""
    answer = client.request("POST", f"/v1/parked/{parked_id}/replay")
    body = answer.json()
    replayed = answer.is_success and body["state"] == "replayed"
    result = "replayed" if replayed else body.get("detail", "failed again")
    print(f"{parked_id}  {result}")
    return bool(replayed)
