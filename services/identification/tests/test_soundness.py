"""A list that is faulty or gives less than the lists above it can be neither signed nor published."""

import asyncio
import copy
from typing import Any

import pytest
from common.events import PolicyVersionPublished
from shell.testing import Driver

NATION, QILIN = "000000", "530302"
CARE = "nursing_subsidy"


@pytest.fixture
async def law(client: Any, bearer: Any) -> dict[str, Any]:
    """The lists in force of the nation and of Qilin."""
    running = {}
    for area in (NATION, QILIN):
        answer = await client.get(f"/v1/policies/{area}", headers=bearer())
        running[area] = answer.json()["list"]
    return running


@pytest.fixture
def county(law: dict[str, Any]) -> dict[str, Any]:
    """The list of Qilin with an item of the nation, in the same words."""
    plain = copy.deepcopy(law[QILIN])
    plain["items"][CARE] = copy.deepcopy(law[NATION]["items"][CARE])
    return plain


@pytest.fixture
def gate(client: Any, bearer: Any, simulated: Any) -> Any:
    """`await gate(body, *steps)`: propose, simulate, and call the route of each step by another approver; the last
    answer."""

    async def walk(body: dict[str, Any], *steps: str) -> Any:
        headers = bearer("officer", NATION, subject="proposer")
        answer = await client.post("/v1/policies", headers=headers, json=body)
        version = answer.json()["version"]
        await simulated(version)
        for i, step in enumerate(steps):
            headers = bearer("approver", NATION, subject=f"approver {i}")
            answer = await client.post(f"/v1/policies/{version}/{step}", headers=headers)
        return answer

    return walk


FULL = ("approve", "approve", "publish")


def cut(body: dict[str, Any]) -> None:
    body["items"][CARE]["versions"][0]["amount"]["bands"][1]["amount_fen"] = 15000


async def test_a_faulty_list_cannot_be_signed(gate: Any, county: dict[str, Any]) -> None:
    county["items"][CARE]["versions"][0]["amount"]["bands"][1]["amount_fen"] = 5000
    answer = await gate(county, "approve")
    assert (answer.status_code, answer.json()["code"]) == (422, "policy_faulty")
    assert [(p["code"], p["pointer"]) for p in answer.json()["problems"]] == [
        ("amount_falls", f"/items/{CARE}/versions/0/amount/bands/1/amount_fen")
    ]


async def test_a_list_that_gives_less_than_the_one_above_cannot_be_signed(gate: Any, county: dict[str, Any]) -> None:
    cut(county)
    answer = await gate(county, "approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "narrower_than_above")
    (problem,), (person,) = answer.json()["problems"], answer.json()["counter_examples"]
    assert (problem["pointer"], problem["code"]) == (f"/items/{CARE}", "amount_lower")
    assert "每月200.00元" in problem["detail"]
    assert "每月150.00元" in problem["detail"]
    assert (person["parent"], person["from"], person["person"]["known"]["ability"]) == (NATION, "2023-01-01", 3)


async def test_a_list_that_gives_as_much_is_published(gate: Any, county: dict[str, Any]) -> None:
    answer = await gate(county, *FULL)
    assert (answer.status_code, answer.json()["narrower_below"]) == (200, [])


async def test_a_deviation_in_force_permits_a_shortfall_and_is_part_of_the_published_list(
    gate: Any, county: dict[str, Any], driver: Driver, client: Any, bearer: Any
) -> None:
    cut(county)
    deviation = {
        "item": CARE,
        "narrows": ["amount_lower"],
        "clause": "第1条",
        "signer": "测试局",
        "reason": "试点",
        "status": "documented",
        "valid_from": "2023-01-01",
    }
    county["deviations"] = [{**deviation, "valid_to": "2030-01-01"}]
    late = await gate(county, "approve")
    assert late.json()["counter_examples"][0]["from"] == "2030-01-01"  # a shortfall after its end is a conflict today
    county["deviations"] = [deviation]
    await driver.clear_outbox()
    assert (await gate(county, *FULL)).status_code == 200
    (event,) = await driver.emitted(PolicyVersionPublished)
    assert event.list["deviations"] == [deviation]
    shown = await client.get("/v1/inclusion", headers=bearer("resident", None), params={"child": QILIN})
    body = shown.json()
    assert (body["included"], body["narrower"], body["above"]) == (True, [], [NATION])
    assert [(n["code"], n["deviation"]["signer"], n["from"]) for n in body["deviating"]] == [
        ("amount_lower", "测试局", "2023-01-01")
    ]


async def test_a_list_above_that_changed_after_the_signatures_counts(
    gate: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any
) -> None:
    signed = (await gate(county, "approve", "approve")).json()
    assert signed["state"] == "approved"
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    assert (await gate(law[NATION], *FULL)).status_code == 200
    path = f"/v1/policies/{signed['version']}/publish"
    answer = await client.post(path, headers=bearer("approver", NATION, subject="third"))
    assert (answer.status_code, answer.json()["code"]) == (409, "narrower_than_above")


async def test_a_higher_list_is_published_and_the_lists_below_that_give_less_are_named(
    gate: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any, redecide: Any
) -> None:
    await gate(county, *FULL)
    await redecide()
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    answer = await gate(law[NATION], *FULL)
    assert (answer.status_code, answer.json()["running"]) == (200, True)
    (short,) = answer.json()["narrower_below"]
    assert (short["jurisdiction"], short["item"], short["code"]) == (QILIN, CARE, "amount_lower")
    shown = (await client.get("/v1/inclusion", headers=bearer(), params={"child": QILIN, "parent": NATION})).json()
    assert (shown["included"], shown["narrower"][0]["sentence"]) == (False, short["detail"])


async def test_two_lists_published_at_once_cannot_both_be_accepted_unchecked(
    gate: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any
) -> None:
    """In any order, the county's list is not in force unnoticed below a national list that gives more."""
    versions = [(await gate(county, "approve", "approve")).json()["version"]]
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    versions.append((await gate(law[NATION], "approve", "approve")).json()["version"])
    headers = bearer("approver", NATION, subject="third")
    answers = await asyncio.gather(*(client.post(f"/v1/policies/{v}/publish", headers=headers) for v in versions))
    low, high = answers
    if low.status_code == 200 and high.status_code == 200:
        assert high.json()["narrower_below"]  # the county's list came first and is named
    else:
        assert {a.json().get("code") for a in answers if a.status_code != 200} <= {
            "lists_changed",
            "narrower_than_above",
            "simulation_stale",
            "still_deciding",
        }


async def test_a_parent_must_lie_above_the_area(client: Any, bearer: Any) -> None:
    answer = await client.get("/v1/inclusion", headers=bearer(), params={"child": QILIN, "parent": "140700"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_above")


async def test_an_area_that_does_not_exist_is_not_compared(client: Any, bearer: Any) -> None:
    answer = await client.get("/v1/inclusion", headers=bearer(), params={"child": "990101"})
    assert answer.status_code == 404
