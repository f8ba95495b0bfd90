"""Every POST either creates and takes an `Idempotency-Key`, or is listed as not creating."""

import json
from pathlib import Path

import pytest

OPENAPI = Path(__file__).resolve().parents[2] / "contracts" / "openapi"
# The effect of every other POST, and the reason why a repeated call creates nothing new.
ACTS = {
    "/v1/parked/{parked_id}/replay": "processes a stored record as its next generation",
    "/v1/assessments/{assessment_id}/sign": "signs once",
    "/v1/tasks/{task_id}/accept": "moves a task",
    "/v1/tasks/{task_id}/decline": "moves a task",
    "/v1/tasks/{task_id}/check-in": "moves a task",
    "/v1/tasks/{task_id}/check-out": "moves a task",
    "/v1/tasks/{task_id}/fail": "moves a task",
    "/v1/tasks/{task_id}/excuse": "moves a task",
    "/v1/tasks/{task_id}/reassign": "moves a task",
    "/v1/policies/{version}/approve": "signs once per person",
    "/v1/policies/{version}/publish": "puts a version in force once",
    "/v1/policies/{version}/halt": "takes a version out of force once",
    "/v1/events": "each event has its own key: source and id",
    "/v1/feeds/{feed}/run": "brings the next reading forward",
    "/v1/feeds/{feed}/confirm": "confirms a run that waits",
    "/v1/persons/lookup": "reads",
    "/v1/vault/reveal": "reads",
    "/v1/quarantine/{event_id}/release": "settles a waiting event",
    "/v1/quarantine/{event_id}/discard": "settles a waiting event",
    "/v1/places/{case_id}/confirm": "settles a case",
    "/v1/places/{case_id}/object": "settles a case",
    "/v1/groups/{group_id}/settle": "settles a group",
    "/v1/corrections/{correction_id}/withdraw": "settles a request",
    "/v1/batches/{batch_id}/submit": "moves a batch",
    "/v1/batches/{batch_id}/approve": "moves a batch",
    "/v1/batches/{batch_id}/reject": "moves a batch",
    "/v1/bank-returns": "moves lines, each of which has its id",
    "/v1/recoveries/{recovery_id}/collect": "closes a recovery",
    "/v1/recoveries/{recovery_id}/write-off": "closes a recovery",
    "/v1/alerts/{alert_id}/explain": "moves an alert",
    "/v1/alerts/{alert_id}/confirm": "moves an alert",
    "/v1/alerts/{alert_id}/dismiss": "moves an alert",
    "/v1/alerts/{alert_id}/close": "moves an alert",
}
CREATES = {
    "/v1/assessments",
    "/v1/providers",
    "/v1/persons/{person_id}/choices",
    "/v1/policies",
    "/v1/simulations",
    "/v1/imports",
    "/v1/sources/{source}/days",
    "/v1/corrections",
    "/v1/batches",
}


def posts() -> dict[str, list[str]]:
    """The headers of each POST, by path."""
    found = {}
    for file in sorted(OPENAPI.glob("*.json")):
        for path, methods in json.loads(file.read_text())["paths"].items():
            if "post" in methods:
                parameters = methods["post"].get("parameters", ())
                found[path] = [p["name"].lower() for p in parameters if p["in"] == "header"]
    return found


def test_every_post_is_listed_as_creating_or_not_creating() -> None:
    assert set(posts()) == CREATES | set(ACTS)


@pytest.mark.parametrize("path", sorted(CREATES))
def test_a_post_that_creates_takes_an_idempotency_key(path: str) -> None:
    assert "idempotency-key" in posts()[path]


@pytest.mark.parametrize("path", sorted(ACTS))
def test_a_post_that_does_not_create_takes_no_idempotency_key(path: str) -> None:
    assert "idempotency-key" not in posts()[path]
