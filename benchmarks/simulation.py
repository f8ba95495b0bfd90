"""One simulation of a year on a platform with people: seconds from the question to the answer."""

import time
from datetime import datetime
from typing import Any

import httpx

SECONDS_MAX = 1800
ASK_SECONDS = 0.2


def simulate(client: httpx.Client, version: str) -> dict[str, Any]:
    """`client`: of identification, as an officer of the area. The simulation is complete afterwards, so that the
    version can be signed. Raises RuntimeError where it does not end well."""
    asked = client.post("/v1/simulations", json={"version": version}).raise_for_status().json()
    deadline, found = time.monotonic() + SECONDS_MAX, asked
    while found["state"] in ("waiting", "running"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the simulation is at {found['chunks_done']} of {found['chunks']} parts")
        time.sleep(ASK_SECONDS)
        found = client.get(f"/v1/simulations/{asked['simulation_id']}").raise_for_status().json()
    if found["state"] != "complete":
        raise RuntimeError(f"the simulation failed: {found['fault']}")
    requested, completed = (datetime.fromisoformat(found[name]) for name in ("requested_at", "completed_at"))
    seconds = (completed - requested).total_seconds()
    return {
        "people": found["people"],
        "changed": found["result"]["people_changed"],
        "seconds": round(seconds, 1),
        "people_per_s": round(found["people"] / seconds),
    }
