"""A source is asked to correct an event; the request closes by itself when it has."""

import asyncio
from datetime import timedelta

import pytest
from common.events import CorrectionAnswered, CorrectionRequested
from ingestion.corrections.answer_corrections import answer_corrections
from ingestion.review.escalate_quarantine import escalate_overdue
from shell import clock
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"


@pytest.fixture
async def officer(client_for):
    async with client_for(issue_token("officer", division="530300", subject="王科员")) as client:
        yield client


@pytest.fixture
def ask(officer):
    async def _ask(event_id, *, expect=201, **more):
        answer = await officer.post("/v1/corrections", json={"event_id": event_id, "reason": "张三丰说不对"} | more)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return _ask


@pytest.fixture
def look(database):
    async def _look():
        clock.set_now(clock.now() + timedelta(seconds=31))
        return await answer_corrections(database)

    return _look


@pytest.mark.parametrize("action", ["corrected", "annulled", "ended"])
async def test_a_request_closes_when_the_source_corrects_annuls_or_ends(push, people, ask, look, driver, action):
    number = people.number(1)
    (receipt,) = await push(people.residence(number, id="r1"))
    asked = await ask(receipt["event_id"], code="contradicted", pointer="/data/value/division")
    (told,) = await driver.emitted(CorrectionRequested)
    assert (told.source, told.event_id, told.kind) == (PSB, receipt["event_id"], "residence")
    assert (told.code, told.pointer) == ("contradicted", "/data/value/division")
    await push(people.residence(people.number(2), id="other"))
    assert await look() == 1
    assert await driver.emitted(CorrectionAnswered) == []
    options = {} if action == "corrected" else {"value": None}
    event = people.residence(number, id="r2", action=action, previous="r1", time="2026-11-21T00:00:00+08:00")
    event["data"] |= options | ({"valid_to": "2026-11-20"} if action == "ended" else {})
    (second,) = await push(event, expect="accepted")
    await look()
    assert await look() == 0
    (answer,) = await driver.emitted(CorrectionAnswered)
    assert (answer.correction_id, answer.outcome) == (asked["correction_id"], "answered")
    assert answer.answered_by == second["event_id"]


async def test_a_second_call_returns_the_open_request_and_after_its_answer_a_new_one(push, people, ask, look, driver):
    number = people.number(1)
    (receipt,) = await push(people.residence(number, id="r1"))
    first = await ask(receipt["event_id"])
    assert (await ask(receipt["event_id"]))["correction_id"] == first["correction_id"]
    assert len(await driver.emitted(CorrectionRequested)) == 1
    await push(people.residence(number, id="r2", action="corrected", previous="r1", time="2026-11-21T00:00:00Z"))
    await look()
    assert (await ask(receipt["event_id"]))["correction_id"] != first["correction_id"]
    await look()
    assert len(await driver.emitted(CorrectionAnswered)) == 1  # an earlier correction does not answer a later request


async def test_a_household_list_can_be_corrected_too(push, people, ask, look, driver):
    a, b = people.number(1), people.number(2)
    value = {"household_no": "1", "members": [b]}
    (receipt,) = await push(people.event("household", a, value, id="h1"))
    await ask(receipt["event_id"])
    await look()
    assert await driver.emitted(CorrectionAnswered) == []
    await push(
        people.event("household", a, value, id="h2", action="corrected", previous="h1", time="2026-11-21T00:00:00Z")
    )
    await look()
    assert len(await driver.emitted(CorrectionAnswered)) == 1


async def test_a_rejected_event_is_corrected_by_sending_it_without_the_fault(push, people, ask, look, driver):
    wrong = people.residence(people.number(1), id="r1")
    wrong["data"]["value"]["division"] = "999999"
    (receipt,) = await push(wrong, expect="rejected")
    asked = await ask(receipt["event_id"])
    assert (asked["code"], asked["pointer"]) == ("division_unknown", "/data/value/division")
    assert asked["code_text"] == "行政区划代码不存在"
    await look()
    assert await driver.emitted(CorrectionAnswered) == []
    await push(people.residence(people.number(1), id="r1"), expect="accepted")
    await look()
    assert [a.answered_by for a in await driver.emitted(CorrectionAnswered)] == [receipt["event_id"]]


async def test_the_request_about_a_certificate_of_another_person_names_the_certificate(push, people, driver, database):
    value = {"certificate_no": f"{people.number(2)}11", "class": 1, "level": 1}
    await push(people.event("disability", people.number(1), value, id="card"), expect="quarantined")
    clock.set_now(people.NOW + timedelta(days=3, minutes=5))
    await escalate_overdue(database)
    (asked,) = await driver.emitted(CorrectionRequested)
    assert (asked.code, asked.pointer) == ("certificate_of_another", "/data/value/certificate_no")


async def test_an_event_that_waits_too_long_gets_a_request_that_its_release_answers(
    push, people, look, driver, database
):
    event = people.residence(people.number(1), id="r2", action="corrected", previous="r1")
    (receipt,) = await push(event, expect="quarantined")
    clock.set_now(people.NOW + timedelta(days=3, minutes=5))
    assert await escalate_overdue(database) == 1
    assert await escalate_overdue(database) == 0
    (told,) = await driver.emitted(CorrectionRequested)
    assert (told.event_id, told.code) == (receipt["event_id"], "predecessor_missing")
    assert told.pointer == "/data/previous_event_id"
    await push(people.residence(people.number(1), id="r1", time="2026-11-19T00:00:00Z"), expect="accepted")
    await look()
    assert [a.outcome for a in await driver.emitted(CorrectionAnswered)] == ["answered"]


async def test_a_request_about_a_discarded_event_is_withdrawn(push, people, ask, officer, look, driver):
    event = people.residence(people.number(1), id="r2", action="corrected", previous="r1")
    (receipt,) = await push(event, expect="quarantined")
    await ask(receipt["event_id"])
    await officer.post(f"/v1/quarantine/{receipt['event_id']}/discard", json={"reason": "错发"})
    await look()
    assert [a.outcome for a in await driver.emitted(CorrectionAnswered)] == ["withdrawn"]
    await ask(receipt["event_id"], expect=409)


async def test_a_source_sees_its_own_requests_with_its_own_ids_and_officers_those_of_their_area(
    push, people, ask, officer, client_for
):
    (receipt,) = await push(people.residence(people.number(1), id="r1"))
    await ask(receipt["event_id"])
    async with client_for(issue_token("source", source=PSB)) as psb:
        (seen,) = (await psb.get("/v1/corrections")).json()["corrections"]
    assert (seen["id"], seen["reason"], seen["state"]) == ("r1", "张三丰说不对", "open")
    wrong = people.residence(people.number(2), id="r2")
    wrong["data"]["value"]["division"] = "999999"
    (rejection,) = await push(wrong, expect="rejected")
    await ask(rejection["event_id"])
    async with client_for(issue_token("source", source=PSB)) as psb:
        shown = (await psb.get("/v1/corrections")).json()["corrections"]
    assert {each["event_id"]: each["id"] for each in shown}[rejection["event_id"]] == "r2"
    async with client_for(issue_token("source", source=PSB.replace("psb", "grid"))) as grid:
        assert (await grid.get("/v1/corrections")).json()["corrections"] == []
    shown = (await officer.get("/v1/corrections")).json()["corrections"]
    assert [each["id"] for each in shown] == [None, None]
    async with client_for(issue_token("officer", division="140700")) as other:
        assert (await other.get("/v1/corrections")).json()["corrections"] == []
        body = {"event_id": receipt["event_id"], "reason": "x"}
        assert (await other.post("/v1/corrections", json=body)).status_code == 403


async def test_a_request_is_overdue_after_its_deadline_and_can_be_withdrawn_once(push, people, ask, officer, driver):
    (receipt,) = await push(people.residence(people.number(1), id="r1"))
    asked = await ask(receipt["event_id"])
    assert (await officer.get("/v1/corrections?overdue=true")).json()["corrections"] == []
    clock.set_now(people.NOW + timedelta(days=5, minutes=5))
    assert len((await officer.get("/v1/corrections?overdue=true")).json()["corrections"]) == 1
    url = f"/v1/corrections/{asked['correction_id']}/withdraw"
    assert (await officer.post(url, json={"reason": "已电话核实"})).json()["state"] == "withdrawn"
    assert (await officer.post(url, json={"reason": "x"})).status_code == 409
    assert [a.outcome for a in await driver.emitted(CorrectionAnswered)] == ["withdrawn"]


async def test_no_topic_carries_the_reason_or_the_person(push, people, ask, database):
    number = people.number(1)
    (receipt,) = await push(people.residence(number, id=f"cert-{number}"))
    await database.pool.execute("DELETE FROM outbox")
    await ask(receipt["event_id"])
    rows = await database.pool.fetch("SELECT payload, headers FROM outbox")
    sent = b"".join(bytes(r[0]) + bytes(r[1]) for r in rows)
    assert receipt["event_id"].encode() in sent
    for secret in (number, "张三丰", "cert-"):
        assert secret.encode() not in sent


async def test_an_unknown_event_is_not_found(ask):
    await ask("0" * 8 + "-0000-4000-8000-" + "0" * 12, expect=404)


async def test_one_key_asks_once_also_when_the_request_is_settled(officer, push, people, database):
    (receipt,) = await push(people.residence(people.number(1), id="r1"))
    body, key = {"event_id": receipt["event_id"], "reason": "存疑"}, {"Idempotency-Key": "question-1"}
    made = await asyncio.gather(*(officer.post("/v1/corrections", json=body, headers=key) for _ in range(4)))
    assert {answer.status_code for answer in made} == {201}
    (correction_id,) = {answer.json()["correction_id"] for answer in made}
    await officer.post(f"/v1/corrections/{correction_id}/withdraw", json={"reason": "已核实"})
    again = await officer.post("/v1/corrections", json=body, headers=key)
    assert (again.json()["correction_id"], again.json()["state"]) == (correction_id, "withdrawn")
    other = await officer.post("/v1/corrections", json=body | {"reason": "另一原因"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert await database.pool.fetchval("SELECT count(*) FROM corrections") == 1


@pytest.mark.parametrize("by", ["source", "officers"])
async def test_a_request_about_a_counted_event_is_closed_when_the_event_waits_and_is_settled(
    push, people, abroad, resident, look, driver, by
):
    event_id = await abroad.move(people, resident)
    asked = await abroad.post("/v1/corrections", area=abroad.AREA, event_id=event_id)
    assert asked.status_code == 201
    (case,) = (await abroad.get("/v1/places"))["places"]
    await abroad.post(f"/v1/places/{case['case_id']}/object")
    await look()
    assert await driver.emitted(CorrectionAnswered) == []
    if by == "source":
        later = {"previous": f"claim-{resident[-6:]}", "time": "2026-11-21T00:00:00+08:00"}
        event = people.residence(resident, id="back", action="annulled", **later)
        event["data"] |= {"value": None}
        await push(abroad.sent(event), expect="accepted")
    else:
        answer = await abroad.post(f"/v1/quarantine/{event_id}/discard", area="000000")
        assert answer.status_code == 200, answer.text
    await look()
    assert [answer.outcome for answer in await driver.emitted(CorrectionAnswered)] == ["withdrawn"]
