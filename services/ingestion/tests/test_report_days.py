"""Completeness: a source's reports are compared with the events that arrived."""

import hashlib

from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"


def digest(*ids):
    total = 0
    for id_ in ids:
        total ^= int.from_bytes(hashlib.sha256(id_.encode()).digest(), "big")
    return f"{total:064x}"


async def test_counts_and_digest_of_a_day_show_whether_everything_arrived(push, people, client_for):
    wrong = people.residence(people.number(9), id="bad")
    wrong["data"]["value"]["division"] = "999999"
    await push(
        people.residence(people.number(1), id="a"),
        people.residence(people.number(1), id="a"),
        people.residence(people.number(2), id="号", time="2026-11-20T00:00:00+08:00"),
        people.residence(people.number(3), id="c", time="2026-11-20T23:59:59+08:00", action="corrected", previous="x"),
        people.residence(people.number(4), id="next day", time="2026-11-20T16:00:00Z"),
        wrong,
        wrong,
    )
    async with client_for(issue_token("source", source=PSB)) as psb:
        before = (await psb.get(f"/v1/sources/{PSB}/completeness?day=2026-11-20")).json()
        assert before["complete"] is None
        assert (before["received"], before["applied"], before["quarantined"], before["rejected"]) == (3, 2, 1, 1)
        assert before["digest"] == digest("c", "a", "号")
        told = {"day": "2026-11-20", "count": 4, "digest": digest("a", "号", "c", "lost")}
        assert (await psb.post(f"/v1/sources/{PSB}/days", json=told)).json()["complete"] is False
        told = {"day": "2026-11-20", "count": 3, "digest": digest("a", "号", "d")}
        assert (await psb.post(f"/v1/sources/{PSB}/days", json=told)).json()["complete"] is False
        told = {"day": "2026-11-20", "count": 3, "digest": digest("a", "号", "c")}
        answer = await psb.post(f"/v1/sources/{PSB}/days", json=told)
        assert (answer.status_code, answer.json()["complete"]) == (201, True)


async def test_an_event_that_its_source_withdrew_before_it_counted_and_its_annulment_are_not_shown_as_applied(
    push, people, abroad, victim, admin
):
    income = abroad.sent(people.event("low_income", victim, {"category": "dibao"}, id="income"))
    await push(income, expect="quarantined")
    await push(people.annulled(income) | {"source": income["source"]}, expect="accepted")
    day = (await admin.get(f"/v1/sources/{income['source']}/completeness?day=2026-11-20")).json()
    assert (day["received"], day["applied"], day["quarantined"], day["parked"]) == (2, 0, 0, 2)


async def test_a_source_sees_and_reports_its_own_days_only(client_for):
    grid = PSB.replace("psb", "grid")
    async with client_for(issue_token("source", source=PSB)) as psb:
        assert [s["source"] for s in (await psb.get("/v1/sources")).json()["sources"]] == [PSB]
        assert (await psb.get(f"/v1/sources/{grid}/completeness?day=2026-11-20")).status_code == 403
        body = {"day": "2026-11-20", "count": 0, "digest": "0" * 64}
        assert (await psb.post(f"/v1/sources/{grid}/days", json=body)).status_code == 403
    async with client_for(issue_token("officer", division="140700")) as officer:
        assert (await officer.get(f"/v1/sources/{PSB}/completeness?day=2026-11-20")).status_code == 403
    async with client_for(issue_token("admin")) as admin:
        assert (await admin.get("/v1/sources/urn:x/completeness?day=2026-11-20")).status_code == 404


async def test_one_key_is_one_report_and_never_replaces_a_later_one(client_for, database):
    path, first = f"/v1/sources/{PSB}/days", {"day": "2026-11-20", "count": 1, "digest": "0" * 64}
    async with client_for(issue_token("source", source=PSB)) as psb:
        key = {"Idempotency-Key": "report-1"}
        assert (await psb.post(path, json=first, headers=key)).status_code == 201
        assert (await psb.post(path, json=first | {"count": 2})).json()["announced"]["count"] == 2
        again = await psb.post(path, json=first, headers=key)
        assert (again.status_code, again.json()["announced"]["count"]) == (201, 2)
        other = await psb.post(path, json=first | {"count": 3}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
