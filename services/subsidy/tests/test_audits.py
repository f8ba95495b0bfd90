"""Each decision about money and each read of a person's payments is a row of the audit log."""

from typing import Any


async def rows(town: Any, *acts: str) -> list[tuple[Any, ...]]:
    """Actor, act, purpose, cause and persons, oldest first."""
    found = await town.office.call("GET", "/v1/audits", "auditor", params={"limit": 500})
    return [
        (row["actor"], row["act"], row["purpose"], row["cause"], row["person_ids"])
        for row in reversed(found["audits"])
        if row["act"] in acts
    ]


async def test_a_batch_leaves_a_row_for_each_step_and_for_the_download(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-05-05")))
    batch = await town.office.reserve()
    batch_id = batch["batch_id"]
    await town.office.approve(batch)
    await town.office.call("GET", f"/v1/batches/{batch_id}/bank-file", "approver")
    await town.office.bank_returns(batch)
    assert await rows(town, "prepare", "submit", "approve", "export", "import") == [
        ("local-officer", "prepare", "batch", batch_id, []),
        ("local-officer", "submit", "batch", batch_id, []),
        ("local-approver", "approve", "batch", batch_id, []),
        ("local-approver", "export", "bank_file", batch_id, [person.id]),
        ("local-officer", "import", "bank_return", "", [person.id]),
    ]
    assert await rows(town, "read") == [("local-officer", "read", "batch", batch_id, [person.id])]


async def test_a_repeated_decision_is_no_second_row(town: Any) -> None:
    await town.receive(town.person().decided(town.entitled("2026-05-05")))
    batch = await town.office.reserve()
    path = f"/v1/batches/{batch['batch_id']}"
    for _ in range(2):
        await town.office.call("POST", f"{path}/submit")
    for reason in ("金额有误", "again"):
        await town.office.call("POST", f"{path}/reject", "approver", json={"reason": reason})
    assert [row[1:3] for row in await rows(town, "submit", "reject")] == [("submit", "batch"), ("reject", "金额有误")]


async def test_a_ledger_and_a_recovery_name_their_person(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-05-05")))
    await town.office.pay()
    await town.receive(person.decided(died="2026-05-01"))
    await town.office.ledger(person)
    assert len(await town.office.recoveries(person)) == 1
    recovery = (await town.office.call("GET", "/v1/recoveries"))["recoveries"][0]["recovery_id"]
    await town.office.call("POST", f"/v1/recoveries/{recovery}/write-off", "approver", json={"reason": "无遗产"})
    found = await rows(town, "read", "search", "write_off")
    assert ("local-officer", "read", "ledger", "", [person.id]) in found
    assert ("local-officer", "search", "recoveries", "", [person.id]) in found
    assert found[-1] == ("local-approver", "write_off", "recovery", recovery, [person.id])


async def test_an_auditor_of_another_county_sees_no_row_of_this_county(town: Any) -> None:
    await town.receive(town.person().decided(town.entitled("2026-05-05")))
    await town.office.reserve()
    of_nation = await town.office.call("GET", "/v1/audits", "auditor")
    assert [row["act"] for row in of_nation["audits"]] == ["prepare"]
    assert (await town.office.call("GET", "/v1/audits", "auditor", area=town.ZHANYI))["audits"] == []
    for role in ("officer", "approver", "admin"):
        await town.office.call("GET", "/v1/audits", role, status=403)
        await town.office.call("GET", "/v1/audits/head", role, status=403)
