"""A review shows the changes of a list, the people who would get less, and the simulations that can be signed."""

import copy
from typing import Any

import pytest

QILIN = "530302"
ALLOWANCE = "longevity_allowance"


@pytest.fixture
def review(client: Any, bearer: Any) -> Any:
    async def ask(version: str) -> Any:
        return (await client.get(f"/v1/policies/{version}/review", headers=bearer("auditor", "000000"))).json()

    return ask


async def proposed(client: Any, bearer: Any, body: Any) -> str:
    answer = await client.post("/v1/policies", headers=bearer("officer", "000000", subject="proposer"), json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["version"])


async def test_a_proposal_is_shown_with_its_changes_and_the_reason_against_signing(
    client: Any, bearer: Any, raised: Any, review: Any, simulated: Any
) -> None:
    version = await proposed(client, bearer, raised)
    found = await review(version)
    (change,) = found["changes"]
    assert (change["item"], change["title"]) == (ALLOWANCE, "高龄津贴")
    assert "元" in change["text"]
    assert (found["inclusion"]["included"], found["faults"]) == (True, [])
    assert (found["sound"], found["blocked"]) == ([], "simulation_missing")
    simulation = await simulated(version)
    found = await review(version)
    assert (found["sound"], found["blocked"]) == ([simulation["simulation_id"]], None)


async def test_a_person_who_would_get_less_is_described(client: Any, bearer: Any, raised: Any, review: Any) -> None:
    parent = (await client.get("/v1/policies/530302", headers=bearer())).json()["list"]
    less = copy.deepcopy(parent)
    less["items"]["visiting_care"] = copy.deepcopy(
        (await client.get("/v1/policies/000000", headers=bearer())).json()["list"]["items"]["visiting_care"]
    )
    for version in less["items"]["visiting_care"]["versions"]:
        version["conditions"] = {"all_of": [version["conditions"], {"age_years_min": 99}]}
    found = await review(await proposed(client, bearer, less))
    assert found["inclusion"]["included"] is False
    one = found["inclusion"]["narrower"][0]
    assert (one["item"], one["parent"]) == ("visiting_care", "000000")
    assert one["person"]["text"]
    assert one["sentence"]


async def test_a_published_list_is_compared_with_the_list_that_it_replaced(
    client: Any, bearer: Any, raised: Any, review: Any, simulated: Any
) -> None:
    before = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()["version"]
    version = await proposed(client, bearer, raised)
    await simulated(version)
    for n, step in enumerate(("approve", "approve", "publish")):
        headers = bearer("approver", "000000", subject=f"approver {n}")
        answer = await client.post(f"/v1/policies/{version}/{step}", headers=headers)
        assert answer.status_code == 200, answer.text
    found = await review(version)
    assert (found["policy"]["state"], found["policy"]["running"], found["against"]) == ("published", True, before)
    assert len(found["changes"]) == 1
    assert (found["sound"], found["blocked"]) == ([], None)


async def test_an_unknown_version_is_not_found(client: Any, bearer: Any) -> None:
    assert (await client.get(f"/v1/policies/{'0' * 32}/review", headers=bearer())).status_code == 404
