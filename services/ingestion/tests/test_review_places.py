"""The county left confirms a claimed place or objects to it."""

from datetime import timedelta

from common.events import CorrectionRequested, PlaceSettled
from ingestion import verify
from ingestion.review.escalate_quarantine import escalate_overdue
from rules.facts.timeline import facts_known_at
from shell import clock


async def _case(abroad, people, number):
    event_id = await abroad.move(people, number)
    (case,) = (await abroad.get("/v1/places"))["places"]
    assert case["event_id"] == event_id
    return case


async def _residences(heads, abroad, number):
    head = (await heads())[abroad.person_id(number)]
    return {(f.value.division, f.standing) for f in facts_known_at(head.statements) if f.kind == "residence"}


async def test_the_county_left_sees_the_case_and_the_claiming_area_does_not(abroad, people, resident):
    case = await _case(abroad, people, resident)
    assert (case["county_left"], case["owner"], case["state"]) == (abroad.HOME, abroad.HOME, "open")
    assert (case["division"], case["division_name"], case["kind"]) == (abroad.THERE, "榆次区", "residence")
    assert case["person_id"] == abroad.person_id(resident)
    for area in (abroad.AREA, abroad.THERE):
        assert (await abroad.get("/v1/places", area))["places"] == []
        for act in ("confirm", "object"):
            answer = await abroad.post(f"/v1/places/{case['case_id']}/{act}", area=area)
            assert answer.status_code == 403
    assert (await abroad.get("/v1/places"))["places"] == [case]


async def test_a_confirmed_place_lets_its_sources_belong(abroad, people, push, resident, heads, database):
    case = await _case(abroad, people, resident)
    low = abroad.sent(people.event("low_income", resident, {"category": "dibao"}, id="low"))
    await push(low, expect="quarantined")
    answer = await abroad.post(f"/v1/places/{case['case_id']}/confirm")
    assert answer.json() == {"case_id": case["case_id"], "state": "confirmed"}
    assert (abroad.THERE, "full") in await _residences(heads, abroad, resident)
    head = (await heads())[abroad.person_id(resident)]
    assert "low_income" in {f.kind for f in facts_known_at(head.statements)}
    account = people.event("bank_account", resident, people.further["bank_account"], id="account")
    await push(abroad.sent(account), expect="accepted")
    (settled,) = (await abroad.get("/v1/places?state=confirmed"))["places"]
    assert (settled["settled_by"], settled["note"]) == ("王科员", "已核实")
    audit = await database.pool.fetchrow("SELECT actor, action, cause FROM audits WHERE action <> 'search'")
    assert tuple(audit) == ("王科员", "place_confirmed", case["case_id"])


async def test_an_objection_removes_the_place_and_asks_the_source_to_correct_it(
    abroad, people, resident, heads, driver, database
):
    case = await _case(abroad, people, resident)
    assert (abroad.THERE, "claimed") in await _residences(heads, abroad, resident)
    answer = await abroad.post(f"/v1/places/{case['case_id']}/object")
    assert answer.json()["state"] == "objected"
    assert await _residences(heads, abroad, resident) == {("530302001", "full")}
    (row,) = (await abroad.get("/v1/quarantine", "000000"))["quarantine"]
    assert (row["event_id"], row["reason"], row["owner"]) == (case["event_id"], "place_objected", "000000")
    assert row["officers_needed"] == 2
    (asked,) = [e for e in await driver.emitted(CorrectionRequested) if e.code == "place_objected"]
    assert (asked.event_id, asked.source) == (case["event_id"], case["source"])
    (settled,) = await driver.emitted(PlaceSettled)
    assert (settled.case_id, settled.outcome) == (case["case_id"], "objected")
    assert await verify.check(database, clock.today()) == []


async def test_two_officers_of_the_area_above_both_counties_overrule_an_objection(
    abroad, people, push, resident, heads
):
    case = await _case(abroad, people, resident)
    await abroad.post(f"/v1/places/{case['case_id']}/object")
    url = f"/v1/quarantine/{case['event_id']}/release"
    assert (await abroad.post(url)).status_code == 403  # the county that objected
    assert (await abroad.post(url, by="甲", area="000000")).json()["state"] == "open"
    assert (await abroad.post(url, by="甲", area="000000")).json()["code"] == "same_officer"
    assert (await abroad.post(url, by="乙", area="000000")).json()["state"] == "released"
    assert (abroad.THERE, "full") in await _residences(heads, abroad, resident)
    low = abroad.sent(people.event("low_income", resident, {"category": "dibao"}, id="low"))
    await push(low, expect="accepted")


async def test_a_case_is_settled_once(abroad, people, resident):
    case = await _case(abroad, people, resident)
    await abroad.post(f"/v1/places/{case['case_id']}/object")
    for act in ("confirm", "object"):
        answer = await abroad.post(f"/v1/places/{case['case_id']}/{act}")
        assert (answer.status_code, answer.json()["code"]) == (409, "settled")
    missing = await abroad.post("/v1/places/00000000-0000-4000-8000-000000000000/confirm")
    assert missing.status_code == 404
    assert (await abroad.post(f"/v1/places/{case['case_id']}/confirm", reason="")).status_code == 422


async def test_a_case_that_its_source_withdraws_needs_no_officer(abroad, people, push, resident):
    case = await _case(abroad, people, resident)
    claim = abroad.sent(people.residence(resident, abroad.THERE, id=f"claim-{resident[-6:]}"))
    await push(people.annulled(claim) | {"source": claim["source"]}, expect="accepted")
    assert (await abroad.get("/v1/places"))["places"] == []
    answer = await abroad.post(f"/v1/places/{case['case_id']}/confirm")
    assert answer.json()["code"] == "settled"


async def test_pages_of_cases_follow_one_another(abroad, people, push):
    numbers = [people.number(n) for n in range(1, 6)]
    await push(*(people.registration(n) for n in numbers), expect="accepted")
    for number in numbers:
        await abroad.move(people, number)
    seen, after = [], ""
    for _ in range(3):
        page = await abroad.get(f"/v1/places?limit=2{after}")
        seen += [row["case_id"] for row in page["places"]]
        after = f"&after={page['next']}"
    assert (len(seen), seen, page["next"]) == (5, sorted(seen), None)


async def test_an_overdue_case_goes_to_the_next_area_above_and_keeps_its_day_of_silence(
    abroad, people, resident, database
):
    case = await _case(abroad, people, resident)
    assert await escalate_overdue(database) == 0
    for owner in ("530300", "530000", "000000"):
        clock.advance(timedelta(days=4))
        (late,) = (await abroad.get("/v1/places?overdue=true", "000000"))["places"]
        assert late["owner"] != owner
        assert await escalate_overdue(database) == 1
        (late,) = (await abroad.get("/v1/places", "000000"))["places"]
        assert (late["owner"], late["silent_on"]) == (owner, case["silent_on"])
        assert late["escalated_at"] is not None
        assert (await abroad.get("/v1/places?overdue=true", "000000"))["places"] == []
    clock.advance(timedelta(days=4))
    assert await escalate_overdue(database) == 0  # the nation keeps it
    assert (await abroad.post(f"/v1/places/{case['case_id']}/confirm")).status_code == 403
    assert (await abroad.post(f"/v1/places/{case['case_id']}/confirm", area="000000")).status_code == 200
