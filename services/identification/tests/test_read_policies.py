"""A list shows the money that is not paid, and why."""

from typing import Any

import pytest

NATION, CITY, QILIN = "000000", "530300", "530302"
CARE = "nursing_subsidy"


def reasons(unpaid: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["item"], one["reason"]) for one in unpaid]


async def test_a_list_shows_its_unpaid_items_with_the_reasons(client: Any, bearer: Any) -> None:
    found = (await client.get(f"/v1/policies/{NATION}", headers=bearer("resident", None))).json()
    assert reasons(found["unpaid"]) == [
        (CARE, "example_amount"),
        ("severe_disability_nursing_subsidy", "example_amount"),
    ]
    assert found["unpaid"][0]["title"] == "护理补贴"
    assert found["unpaid"][0]["text"] == "对象或标准为示例，没有文件依据，资格照常认定，资金不发放"
    before = await client.get(f"/v1/policies/{NATION}", headers=bearer(), params={"on": "2022-12-31"})
    assert before.json()["unpaid"] == []
    assert (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()["unpaid"] == []


async def test_a_list_of_a_day_has_only_what_is_valid_on_that_day(
    client: Any, bearer: Any, publish: Any, raised: Any
) -> None:
    dated = {"item": CARE, "status": "documented", "valid_from": "2027-01-01", "valid_to": "2028-01-01"}
    text = dict.fromkeys(("clause", "signer", "reason"), "测试")
    cited = {"citation": {"title": "测试", "issuer": "测试", "date": "2026-01-01", "locator": "第1条"}}
    floor = dated | cited | {"kind": "cash", "follows": "hukou", "conditions": {"age_years_min": 80}}
    await publish(raised | {"floors": [floor], "deviations": [dated | text | {"narrows": ["amount_lower"]}]})

    async def parts(on: str | None) -> tuple[int, int]:
        answer = await client.get(f"/v1/policies/{QILIN}", headers=bearer(), params={"on": on} if on else {})
        found = answer.json()["list"]
        return len(found["floors"]), len(found["deviations"])

    days = (None, "2026-12-31", "2027-01-01", "2027-12-31", "2028-01-01")
    assert [await parts(on) for on in days] == [(1, 1), (0, 0), (1, 1), (1, 1), (0, 0)]


async def test_an_area_shows_unpaid_items_of_the_lists_above_and_below_it(
    client: Any, bearer: Any, publish: Any, raised: Any
) -> None:
    raised["items"]["longevity_allowance"]["versions"][0]["pay"]["status"] = "example"
    await publish(raised)

    async def unpaid(division: str) -> list[tuple[str, str, str]]:
        answer = await client.get("/v1/unpaid-items", headers=bearer(), params={"division": division})
        assert answer.json()["more"] is False
        return [(one["jurisdiction"], one["item"], one["reason"]) for one in answer.json()["unpaid"]]

    nation = [(NATION, CARE, "example_amount"), (NATION, "severe_disability_nursing_subsidy", "example_amount")]
    here = (QILIN, "longevity_allowance", "example_pay_rule")
    assert await unpaid(QILIN) == await unpaid(CITY) == await unpaid(NATION) == [*nation, here]
    assert await unpaid("530303") == nation
    unknown = await client.get("/v1/unpaid-items", headers=bearer(), params={"division": "990101"})
    assert unknown.status_code == 404


async def test_a_review_shows_items_that_will_not_be_paid(client: Any, bearer: Any, raised: Any) -> None:
    raised["items"]["longevity_allowance"]["versions"][0]["amount"]["status"] = "example"
    version = (await client.post("/v1/policies", headers=bearer(), json=raised)).json()["version"]
    review = (await client.get(f"/v1/policies/{version}/review", headers=bearer("approver"))).json()
    assert reasons(review["unpaid"]) == [("longevity_allowance", "example_amount")]


@pytest.mark.usefixtures("demonstration")
async def test_a_demonstration_pays_examples_too(client: Any, bearer: Any) -> None:
    assert (await client.get(f"/v1/policies/{NATION}", headers=bearer())).json()["unpaid"] == []
    answer = await client.get("/v1/unpaid-items", headers=bearer(), params={"division": QILIN})
    assert answer.json() == {"unpaid": [], "more": False}


async def test_an_entitlement_shows_that_its_amount_is_not_paid(
    client: Any, bearer: Any, driver: Any, elder: Any, request: pytest.FixtureRequest
) -> None:
    person = elder()
    person.say("disability", class_=4, level=1)
    await driver.deliver(person.facts())

    async def unpaid() -> dict[str, tuple[int | None, str | None]]:
        found = await client.get(f"/v1/persons/{person.person_id}/entitlements", headers=bearer())
        granted = [e for e in found.json()["entitlements"] if e["state"] == "granted" and e["kind"] == "cash"]
        return {e["item"]: (e["amount_fen_per_month"], e["unpaid"]) for e in granted}

    paid = {"longevity_allowance": (5000, None)}
    assert await unpaid() == {**paid, "severe_disability_nursing_subsidy": (8000, "example_amount")}
    request.getfixturevalue("demonstration")
    assert await unpaid() == {**paid, "severe_disability_nursing_subsidy": (8000, None)}
