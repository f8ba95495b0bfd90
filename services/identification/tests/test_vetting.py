"""Nobody can sign or publish a list that is faulty or gives less than the lists above it."""

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
    """Qilin's list, which now also names what the nation's names, in the same words."""
    plain = copy.deepcopy(law[QILIN])
    plain["items"][CARE] = copy.deepcopy(law[NATION]["items"][CARE])
    return plain


@pytest.fixture
def door(client: Any, bearer: Any, simulated: Any) -> Any:
    """`await door(body, *steps)`: propose, simulate and take the steps, each by somebody else; the answer of the last
    one."""

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


async def test_a_faulty_list_cannot_be_signed(door: Any, county: dict[str, Any]) -> None:
    county["items"][CARE]["versions"][0]["amount"]["bands"][1]["amount_fen"] = 5000
    answer = await door(county, "approve")
    assert (answer.status_code, answer.json()["code"]) == (422, "policy_faulty")
    assert [(p["code"], p["pointer"]) for p in answer.json()["problems"]] == [
        ("amount_falls", f"/items/{CARE}/versions/0/amount/bands/1/amount_fen")
    ]


async def test_a_list_that_gives_less_than_the_one_above_cannot_be_signed(door: Any, county: dict[str, Any]) -> None:
    cut(county)
    answer = await door(county, "approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "narrower_than_above")
    (problem,), (person,) = answer.json()["problems"], answer.json()["counter_examples"]
    assert (problem["pointer"], problem["code"]) == (f"/items/{CARE}", "amount_lower")
    assert "每月200.00元" in problem["detail"]
    assert "每月150.00元" in problem["detail"]
    assert (person["parent"], person["from"], person["person"]["known"]["ability"]) == (NATION, "2023-01-01", 3)


async def test_a_list_that_gives_as_much_passes(door: Any, county: dict[str, Any]) -> None:
    answer = await door(county, *FULL)
    assert (answer.status_code, answer.json()["narrower_below"]) == (200, [])


async def test_a_deviation_in_force_lets_it_pass_and_travels_with_the_list(
    door: Any, county: dict[str, Any], driver: Driver, client: Any, bearer: Any
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
    late = await door(county, "approve")
    assert late.json()["counter_examples"][0]["from"] == "2030-01-01"  # what outlives it is refused already today
    county["deviations"] = [deviation]
    await driver.clear_outbox()
    assert (await door(county, *FULL)).status_code == 200
    (event,) = await driver.emitted(PolicyVersionPublished)
    assert event.list["deviations"] == [deviation]
    shown = await client.get("/v1/inclusion", headers=bearer("resident", None), params={"child": QILIN})
    body = shown.json()
    assert (body["included"], body["narrower"], body["above"]) == (True, [], [NATION])
    assert [(n["code"], n["deviation"]["signer"], n["from"]) for n in body["deviating"]] == [
        ("amount_lower", "测试局", "2023-01-01")
    ]


async def test_what_changed_above_since_the_signatures_counts(
    door: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any
) -> None:
    signed = (await door(county, "approve", "approve")).json()
    assert signed["state"] == "approved"
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    assert (await door(law[NATION], *FULL)).status_code == 200
    path = f"/v1/policies/{signed['version']}/publish"
    answer = await client.post(path, headers=bearer("approver", NATION, subject="third"))
    assert (answer.status_code, answer.json()["code"]) == (409, "narrower_than_above")


async def test_a_higher_list_is_published_and_those_below_that_give_less_are_told(
    door: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any, redecide: Any
) -> None:
    await door(county, *FULL)
    await redecide()
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    answer = await door(law[NATION], *FULL)
    assert (answer.status_code, answer.json()["running"]) == (200, True)
    (short,) = answer.json()["narrower_below"]
    assert (short["jurisdiction"], short["item"], short["code"]) == (QILIN, CARE, "amount_lower")
    shown = (await client.get("/v1/inclusion", headers=bearer(), params={"child": QILIN, "parent": NATION})).json()
    assert (shown["included"], shown["narrower"][0]["sentence"]) == (False, short["detail"])


async def test_two_lists_published_at_once_do_not_pass_each_other(
    door: Any, county: dict[str, Any], law: dict[str, Any], client: Any, bearer: Any
) -> None:
    """Whatever the order: the county's list is never in force below a nation's that gives more."""
    versions = [(await door(county, "approve", "approve")).json()["version"]]
    for band in law[NATION]["items"][CARE]["versions"][0]["amount"]["bands"]:
        band["amount_fen"] += 100
    versions.append((await door(law[NATION], "approve", "approve")).json()["version"])
    headers = bearer("approver", NATION, subject="third")
    answers = await asyncio.gather(*(client.post(f"/v1/policies/{v}/publish", headers=headers) for v in versions))
    low, high = answers
    if low.status_code == 200 and high.status_code == 200:
        assert high.json()["narrower_below"]  # the county's came first, and is told of
    else:
        assert {a.json().get("code") for a in answers if a.status_code != 200} <= {
            "lists_changed",
            "narrower_than_above",
            "simulation_stale",
            "still_deciding",
        }


async def test_an_area_that_does_not_lie_above_is_no_parent(client: Any, bearer: Any) -> None:
    answer = await client.get("/v1/inclusion", headers=bearer(), params={"child": QILIN, "parent": "140700"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_above")
