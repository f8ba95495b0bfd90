"""Each read of a chain or of a list of persons, and each decision about a case, is a row of the audit log."""

from typing import Any

from common.events import RecoveryOpened


async def rows(api: Any) -> list[tuple[Any, ...]]:
    found = (await api("auditor").get("/v1/audits")).json()["audits"]
    return [(row["actor"], row["act"], row["purpose"], row["cause"], row["person_ids"]) for row in reversed(found)]


async def test_chains_and_lists_of_persons_are_rows(deliver: Any, make: Any, api: Any) -> None:
    person, change = make.id(), make.id()
    await deliver(make.record(make.decided(person, make.entitlement(), causes=(change,)), causation_id=change))
    officer = api(subject="li")
    assert (await officer.get(f"/v1/trace/{change}")).json()["steps"]
    assert (await officer.get(f"/v1/persons/{person}/steps")).json()["steps"]
    await officer.get("/v1/unreached")
    await officer.get("/v1/alerts")
    await officer.get("/v1/statistics?division=530302")
    audits = await rows(api)
    assert [row[:4] for row in audits] == [
        ("li", "read", "trace", change),
        ("li", "read", "steps", ""),
        ("li", "search", "unreached", ""),
        ("li", "search", "alerts", ""),
    ]
    assert [row[4] for row in audits[:2]] == [[person], [person]]


async def test_decisions_about_a_case_are_rows_with_their_reason(deliver: Any, make: Any, api: Any) -> None:
    person, recovery = make.id(), make.id()
    await deliver(
        RecoveryOpened(
            person_id=person,
            recovery_id=recovery,
            item="longevity_allowance",
            jurisdiction="530302",
            service_month="2026-10",
            amount_fen=5000,
            reason="died",
        )
    )
    (alert,) = (await api().get("/v1/alerts")).json()["alerts"]
    key = alert["alert_id"]
    words = {"reason": "已核实"}
    assert (await api(subject="li").post(f"/v1/alerts/{key}/confirm", json=words)).status_code == 200
    assert (await api(subject="li").post(f"/v1/alerts/{key}/confirm", json=words)).status_code == 409
    assert (await api(subject="wang").post(f"/v1/alerts/{key}/close")).status_code == 200
    assert (await rows(api))[1:] == [
        ("li", "confirm", "已核实", key, [person]),
        ("wang", "close", "alert", key, [person]),
    ]
