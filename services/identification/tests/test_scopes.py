"""A draft of a list is for officers, approvers and auditors of its area; a list in force is for everybody."""

from typing import Any

import pytest

CITY, COUNTY, FOREIGN, NATION = "530300", "530302", "140700", "000000"
PUBLIC = ["source", "provider", "visitor", "resident", "assessor"]
CLAIMS: dict[str, Any] = {"source": "urn:cn:exchange:530300:psb", "provider": "52530302MJ00000017"}


@pytest.fixture
async def draft(client: Any, bearer: Any, raised: Any) -> str:
    """The version of a proposed list of the county."""
    answer = await client.post("/v1/policies", headers=bearer("officer", COUNTY), json=raised)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["version"])


async def versions(client: Any, headers: Any, **params: Any) -> dict[str, str]:
    """The state by version, of all pages."""
    found: dict[str, str] = {}
    after: dict[str, str] = {}
    while True:
        answer = await client.get("/v1/policies", headers=headers, params={"limit": 2, **params, **after})
        assert answer.status_code == 200, answer.text
        found |= {one["version"]: one["state"] for one in answer.json()["policies"]}
        if answer.json()["next"] is None:
            return found
        after = {"after": answer.json()["next"]}


@pytest.mark.parametrize("role", PUBLIC)
async def test_other_roles_see_lists_in_force_and_no_draft(client: Any, bearer: Any, draft: str, role: str) -> None:
    headers = bearer(role, NATION, **CLAIMS)
    assert set((await versions(client, headers)).values()) == {"published"}
    assert await versions(client, headers, state="proposed") == {}
    assert (await client.get(f"/v1/policies/{NATION}", headers=headers)).status_code == 200
    for path in (f"/v1/policies/{draft}/review", f"/v1/simulations?version={draft}"):
        assert (await client.get(path, headers=headers)).status_code == 403, path


@pytest.mark.parametrize("role", ["officer", "approver", "auditor"])
async def test_a_draft_is_shown_in_its_area_and_above(client: Any, bearer: Any, draft: str, role: str) -> None:
    for division, seen in ((COUNTY, True), (CITY, True), (NATION, True), (FOREIGN, False), ("530303", False)):
        headers = bearer(role, division)
        assert (draft in await versions(client, headers)) is seen, division
        assert (draft in await versions(client, headers, state="proposed")) is seen, division
        review = await client.get(f"/v1/policies/{draft}/review", headers=headers)
        assert review.status_code == (200 if seen else 403), division


async def test_a_simulation_is_shown_in_the_area_of_its_list(client: Any, bearer: Any, draft: str) -> None:
    asked = await client.post("/v1/simulations", headers=bearer("officer", COUNTY), json={"version": draft})
    path = f"/v1/simulations/{asked.json()['simulation_id']}"
    for division, seen in ((COUNTY, True), (NATION, True), (FOREIGN, False)):
        headers = bearer("officer", division)
        assert (await client.get(path, headers=headers)).status_code == (200 if seen else 403), division
        listed = await client.get("/v1/simulations", headers=headers, params={"version": draft})
        assert len(listed.json()["simulations"]) == (1 if seen else 0), division


async def test_how_many_people_a_list_touches_is_shown_in_its_area(client: Any, bearer: Any) -> None:
    running = await client.get(f"/v1/policies/{NATION}", headers=bearer("officer", NATION))
    path = f"/v1/policies/{running.json()['version']}/redecision"
    assert (await client.get(path, headers=bearer("officer", NATION))).status_code == 200
    assert (await client.get(path, headers=bearer("officer", COUNTY))).status_code == 403
    for role in PUBLIC:
        assert (await client.get(path, headers=bearer(role, NATION, **CLAIMS))).status_code == 403, role
