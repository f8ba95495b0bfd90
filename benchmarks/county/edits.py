"""Makes three edits of lists, each proposed, simulated, approved twice and published over HTTP.

- `look`: every person is decided again, and no decision changes (an amount for a past time and for age 110).
- `few`: the decision of some 5 % changes (a higher amount, also for one more level of disability).
- `everybody`: every decision changes (a higher longevity allowance, which every person will receive one day).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import httpx
from shouwang.runtime.machine import Runtime

from benchmarks.county.caller import SparseProgress, client, get, poll, post
from benchmarks.county.files import DIVISION

CITY = "530300"
Status = dict[str, Any]  # the JSON of a running job
Change = Callable[[dict[str, Any]], None]  # changes a list, given as a plain dictionary


class Edit(NamedTuple):
    """An edit of a list. `area`: the area of the list that `change` edits."""

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
        """Seconds from the publication to the last decided person."""
        return (self.redecided_at - self.published_at).total_seconds()

    @property
    def selected_seconds(self) -> float:
        """Seconds from the publication until the affected people were found."""
        return (self.selected_at - self.published_at).total_seconds()


def publish(runtime: Runtime, name: str, edit: Edit) -> tuple[str, float]:
    """Propose, simulate, approve and publish an edit. Returns the version, and the seconds of its simulation."""
    with client(runtime, "identification", role="officer", division=edit.area, subject="proposer") as officer:
        version = _propose(officer, edit)
        simulated_seconds = _simulate(officer, name, version)
    for subject, action in (("first", "approve"), ("second", "approve"), ("second", "publish")):
        with client(runtime, "identification", role="approver", division=edit.area, subject=subject) as approver:
            post(approver, f"/v1/policies/{version}/{action}")
    return version, simulated_seconds


def _propose(officer: httpx.Client, edit: Edit) -> str:
    body = get(officer, f"/v1/policies/{edit.area}")["list"]
    edit.change(body)
    version: str = post(officer, "/v1/policies", body)["version"]
    return version


def _simulate(officer: httpx.Client, name: str, version: str) -> float:
    """Simulate the first year of a version, and return the seconds."""
    progress = SparseProgress()

    def report(status: Status) -> None:
        progress(f"  {name}: {status['chunks_done']} of {status['chunks']} chunks simulated")

    simulation_id = post(officer, "/v1/simulations", {"version": version})["simulation_id"]
    simulation = poll(officer, f"/v1/simulations/{simulation_id}", _is_simulated, report)
    if simulation["state"] != "complete":
        raise RuntimeError(f"the simulation of {name} failed: {simulation['fault']}")
    return _seconds_between(simulation["requested_at"], simulation["completed_at"])


def _is_simulated(status: Status) -> bool:
    return status["state"] not in ("waiting", "running")


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def wait_until_decided(runtime: Runtime, name: str, version: str) -> Redecision:
    """Wait until every affected person is decided under the version. Raises TimeoutError."""
    progress = SparseProgress()

    def report(status: Status) -> None:
        decided = f"{status['people']:,} of {status['people_touched']:,}"
        progress(f"  {name}: {decided}, {status['people_changed']:,} changed")

    with client(runtime, "identification", role="auditor", division="000000") as auditor:
        return _redecision(poll(auditor, f"/v1/policies/{version}/redecision", _is_decided, report))


def _is_decided(status: Status) -> bool:
    return status["redecided_at"] is not None


def _redecision(status: Status) -> Redecision:
    return Redecision(
        published_at=datetime.fromisoformat(status["published_at"]),
        selected_at=datetime.fromisoformat(status["selected_at"]),
        redecided_at=datetime.fromisoformat(status["redecided_at"]),
        decided=status["people"],
        touched=status["people_touched"],
        changed=status["people_changed"],
    )
