"""Approvals need a recent sign-in. Each of these routes refuses an older one before it reads anything."""

import importlib
import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from joserfc import jwt
from shell import clock
from shell.access.auth import Requirement
from shell.access.issuers import AUDIENCE, LOCAL_URL
from shell.access.local_issuer import signing_key
from shouwang.runtime.services import STORED

APPROVALS = {
    "identification": {"/v1/policies/{version}/approve", "/v1/policies/{version}/publish"},
    "assessment": {"/v1/assessments/{assessment_id}/sign"},
    "subsidy": {
        "/v1/batches/{batch_id}/approve",
        "/v1/batches/{batch_id}/reject",
        "/v1/recoveries/{recovery_id}/write-off",
    },
    "ingestion": {
        "/v1/quarantine/{event_id}/release",
        "/v1/quarantine/{event_id}/discard",
        "/v1/groups/{group_id}/settle",
    },
}
ROLE = {"ingestion": "officer"}
DECIDES = re.compile(r"/(approve|publish|sign|release|reject|write-off|settle)$")


def app_of(service: str) -> Any:
    return importlib.import_module(f"{service}.main").service.app


def routes(service: str) -> list[APIRoute]:
    found = [context.original_route for context in iter_route_contexts(app_of(service).routes)]
    return [route for route in found if isinstance(route, APIRoute)]


def needs_fresh(route: APIRoute) -> bool:
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return any(isinstance(call, Requirement) and call.fresh for call in calls)


@pytest.mark.parametrize("service", STORED)
def test_exactly_the_approvals_need_a_recent_sign_in(service: str) -> None:
    assert {route.path for route in routes(service) if needs_fresh(route)} == APPROVALS.get(service, set())


@pytest.mark.parametrize("service", STORED)
def test_a_new_route_that_decides_is_an_approval_or_has_another_name(service: str) -> None:
    deciding = {route.path for route in routes(service) if DECIDES.search(route.path)}
    assert deciding - APPROVALS.get(service, set()) == set()


def token(service: str, age_seconds: int) -> str:
    now = int(clock.real_now().timestamp())
    claims = {"iss": LOCAL_URL, "aud": AUDIENCE, "sub": "li", "iat": now, "exp": now + 60, "division": "530302"}
    claims |= {"role": ROLE.get(service, "approver"), "auth_time": now - age_seconds}
    return jwt.encode({"alg": "ES256"}, claims, signing_key())


@pytest.mark.parametrize("service", sorted(APPROVALS))
async def test_an_approval_after_a_sign_in_of_more_than_fifteen_minutes_is_refused(service: str) -> None:
    transport = httpx.ASGITransport(app_of(service))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{service}") as client:
        for path in sorted(APPROVALS[service]):
            place = re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", path)
            headers = {"authorization": f"Bearer {token(service, 905)}"}
            answer = await client.post(place, headers=headers, json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_again"), path


async def test_an_approval_within_fifteen_minutes_of_the_sign_in_is_read() -> None:
    """The body is judged only after the caller."""
    transport = httpx.ASGITransport(app_of("ingestion"))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingestion") as client:
        path = "/v1/groups/00000000-0000-0000-0000-000000000000/settle"
        headers = {"authorization": f"Bearer {token('ingestion', 895)}"}
        assert (await client.post(path, headers=headers, json={})).status_code == 422
