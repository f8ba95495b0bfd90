"""Each read of a person's entitlements, each choice and each step of a list is a row of the audit log."""

from datetime import date
from typing import Any

import pytest
from shell.testing import Driver


@pytest.fixture
def rows(client: Any, bearer: Any) -> Any:
    async def found(*purposes: str) -> list[tuple[Any, ...]]:
        audits = (await client.get("/v1/audits", headers=bearer("auditor", "000000"))).json()["audits"]
        return [
            (row["actor"], row["act"], row["purpose"], row["cause"], row["person_ids"])
            for row in reversed(audits)
            if not purposes or row["purpose"] in purposes
        ]

    return found


async def test_reads_of_a_person_are_rows_also_of_the_resident(
    client: Any, driver: Driver, elder: Any, bearer: Any, rows: Any
) -> None:
    person = elder()
    person.say("low_income", date(2026, 6, 1), category="dibao")
    await driver.deliver(person.facts())
    key = person.person_id
    officer, resident = bearer(subject="li"), bearer("resident", None, subject=key)
    for path, headers in (
        ("entitlements", officer),
        ("explanations?item=longevity_allowance", officer),
        ("adverse", officer),
        ("entitlements", resident),
    ):
        assert (await client.get(f"/v1/persons/{key}/{path}", headers=headers)).status_code == 200
    refused = await client.get(f"/v1/persons/{key}/entitlements", headers=bearer(division="110000"))
    assert refused.status_code == 403
    assert await rows() == [
        ("li", "read", "entitlements", "", [key]),
        ("li", "read", "explanation", "longevity_allowance", [key]),
        ("li", "read", "adverse", "", [key]),
        (key, "read", "entitlements", "", [key]),
    ]


async def test_each_step_of_a_list_is_a_row(client: Any, raised: Any, publish: Any, bearer: Any, rows: Any) -> None:
    version = await publish(raised)
    halt = {"reason": "有误"}
    headers = bearer("approver", subject="third")
    assert (await client.post(f"/v1/policies/{version}/halt", headers=headers, json=halt)).status_code == 200
    assert await rows("policy", "有误") == [
        ("proposer", "submit", "policy", version, []),
        ("first", "approve", "policy", version, []),
        ("second", "approve", "policy", version, []),
        ("second", "publish", "policy", version, []),
        ("third", "halt", "有误", version, []),
    ]
    assert [row[1] for row in await rows("simulation")] == ["read"]
