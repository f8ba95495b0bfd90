"""Three edits of a list, each proposed, simulated, approved twice and published over HTTP.

- `look`: every person is decided again, and no decision changes (an amount for a past time and for age 110).
- `few`: the decision of some 5 % changes (a higher amount, also for one more level of disability).
- `everybody`: every decision changes (a higher longevity allowance, which every person will receive one day).
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import httpx
from shouwang.runtime.machine import Runtime

from benchmarks.county.caller import client, sparse_progress
from benchmarks.county.files import DIVISION

CITY = "530300"
POLL_SECONDS = 0.1
DECIDED_SECONDS_MAX = 4 * 3600
Change = Callable[[dict[str, Any]], None]  # changes a list, given as a plain dictionary


class Edit(NamedTuple):
    """`area`: the area of the list that `change` edits."""

    area: str
    change: Change


def _add_past_amount(body: dict[str, Any]) -> None:
    versions = body["items"]["longevity_allowance"]["versions"]
    past = {"valid_from": "1990-01-01", "valid_to": "1991-01-01", "conditions": {"age_years_min": 110}}
    versions.insert(0, {**versions[0], **past, "amount": {"flat_fen": 100}})


def _raise_longevity_allowance(body: dict[str, Any]) -> None:
    for band in body["items"]["longevity_allowance"]["versions"][-1]["amount"]["bands"]:
        band["amount_fen"] += 1_000


def _widen_nursing_subsidy(body: dict[str, Any]) -> None:
    version = body["items"]["severe_disability_nursing_subsidy"]["versions"][-1]
    version["amount"]["flat_fen"] += 1_000
    version["conditions"] = {"all_of": [{"age_years_min": 60}, {"disability": {"levels": [1, 2, 3]}}]}


EDITS: Mapping[str, Edit] = {
    "look": Edit(DIVISION, _add_past_amount),
    "few": Edit(CITY, _widen_nursing_subsidy),
    "everybody": Edit(DIVISION, _raise_longevity_allowance),
}


class Redecision(NamedTuple):
    """The re-decision of a published version. `touched`: people who may be affected; `decided`: people decided so
    far; `changed`: people whose decision changed."""

    published_at: datetime
    selected_at: datetime
    redecided_at: datetime
    decided: int
    touched: int
    changed: int

    @property
    def seconds(self) -> float:
        """From the publication to the last decided person."""
        return (self.redecided_at - self.published_at).total_seconds()

    @property
    def selected_seconds(self) -> float:
        """From the publication until the affected people were found."""
        return (self.selected_at - self.published_at).total_seconds()


def publish(runtime: Runtime, name: str, edit: Edit) -> tuple[str, float]:
    """Propose, simulate, approve and publish. Returns the version, and the seconds of its simulation."""
    with client(runtime, "identification", role="officer", division=edit.area, subject="proposer") as officer:
        body = officer.get(f"/v1/policies/{edit.area}").raise_for_status().json()["list"]
        edit.change(body)
        version: str = officer.post("/v1/policies", json=body).raise_for_status().json()["version"]
        simulated_seconds = _simulate(officer, name, version)
    for subject, action in (("first", "approve"), ("second", "approve"), ("second", "publish")):
        with client(runtime, "identification", role="approver", division=edit.area, subject=subject) as approver:
            approver.post(f"/v1/policies/{version}/{action}").raise_for_status()
    return version, simulated_seconds


def _simulate(officer: httpx.Client, name: str, version: str) -> float:
    """Simulate the first year of a version, and return the seconds."""
    report, deadline = sparse_progress(), time.monotonic() + DECIDED_SECONDS_MAX
    simulation = officer.post("/v1/simulations", json={"version": version}).raise_for_status().json()
    while simulation["state"] in ("waiting", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not simulated within {DECIDED_SECONDS_MAX} s")
        report(f"  {name}: {simulation['chunks_done']} of {simulation['chunks']} chunks simulated")
        time.sleep(POLL_SECONDS)
        simulation = officer.get(f"/v1/simulations/{simulation['simulation_id']}").raise_for_status().json()
    if simulation["state"] != "complete":
        raise RuntimeError(f"the simulation of {name} failed: {simulation['fault']}")
    requested, completed = (datetime.fromisoformat(simulation[key]) for key in ("requested_at", "completed_at"))
    return (completed - requested).total_seconds()


def wait_until_decided(runtime: Runtime, name: str, version: str) -> Redecision:
    """Wait until every affected person is decided under the version. Raises TimeoutError."""
    report, deadline = sparse_progress(), time.monotonic() + DECIDED_SECONDS_MAX
    with client(runtime, "identification", role="auditor", division="000000") as auditor:
        while time.monotonic() < deadline:
            status = auditor.get(f"/v1/policies/{version}/redecision").raise_for_status().json()
            if status["redecided_at"] is not None:
                return _redecision(status)
            report(
                f"  {name}: {status['people']:,} of {status['people_touched']:,}, {status['people_changed']:,} changed"
            )
            time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not decided within {DECIDED_SECONDS_MAX} s")


def _redecision(status: Mapping[str, Any]) -> Redecision:
    return Redecision(
        published_at=datetime.fromisoformat(status["published_at"]),
        selected_at=datetime.fromisoformat(status["selected_at"]),
        redecided_at=datetime.fromisoformat(status["redecided_at"]),
        decided=status["people"],
        touched=status["people_touched"],
        changed=status["people_changed"],
    )
