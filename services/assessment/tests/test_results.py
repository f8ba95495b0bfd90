import asyncio
from datetime import date
from uuid import uuid4

import pytest
from assessment import request_assessments
from assessment.verify import check, expected_heads
from common.events import AbilitiesDetermined, AssessmentCancelled, AssessmentRequested, AssessmentSigned

TODAY = date(2026, 11, 22)


async def submit(client, auth, form, subject="nurse-1"):
    return await client.post("/v1/assessments", json=form, headers=auth(subject=subject))


async def sign(client, auth, assessment_id, subject="worker-2", role="assessor", **claims):
    headers = auth(role, subject=subject, **claims)
    return await client.post(f"/v1/assessments/{assessment_id}/sign", headers=headers)


async def assessed(client, auth, form):
    """Submitted by one, signed by another."""
    submitted = await submit(client, auth, form)
    assert submitted.status_code in (200, 201), submitted.text
    signed = await sign(client, auth, submitted.json()["assessment_id"])
    assert signed.status_code == 200, signed.text
    return signed.json()


async def test_a_result_comes_into_force_when_a_second_person_signs(driver, database, client, auth, people):
    await driver.deliver(people.entitled(), correlation_id="0190c8b2-0000-7000-8000-000000000001")
    submitted = await submit(client, auth, people.form(46, diagnoses=["F03"]))
    assert (submitted.status_code, submitted.json()["level"], submitted.json()["changed_by"]) == (201, 3, ["diagnosis"])
    assert await driver.emitted(AbilitiesDetermined) == []
    await sign(client, auth, submitted.json()["assessment_id"])
    messages = await driver.emitted_messages()
    [signed] = [m for m in messages if isinstance(m.data, AssessmentSigned)]
    assert (signed.data.total, signed.data.level) == (46, 3)
    [state] = [m for m in messages if isinstance(m.data, AbilitiesDetermined)]
    [ability] = state.data.abilities
    assert (ability.level, ability.valid_from, ability.valid_to) == (3, TODAY, date(2027, 11, 22))
    assert {m.correlation_id for m in messages} == {"0190c8b2-0000-7000-8000-000000000001"}
    async with database.reading() as connection:
        heads = await expected_heads(connection, [str(uuid4()), state.data.person_id])
    assert [(h.person_id, h.abilities) for h in heads] == [(state.data.person_id, state.data.abilities)]
    assert await check(database, TODAY) == []


async def test_the_same_form_and_the_same_signature_twice_change_nothing(driver, client, auth, people):
    await driver.deliver(people.entitled())
    first = await submit(client, auth, people.form(70))
    again = await submit(client, auth, people.form(70))
    assert (again.status_code, again.json()["assessment_id"]) == (200, first.json()["assessment_id"])
    await sign(client, auth, first.json()["assessment_id"])
    assert (await sign(client, auth, first.json()["assessment_id"])).status_code == 200
    assert (await submit(client, auth, people.form(70))).json()["state"] == "signed"
    assert len(await driver.emitted(AssessmentSigned)) == 1
    assert [s.version for s in await driver.emitted(AbilitiesDetermined)] == [1]


async def test_a_late_repeat_of_a_form_does_not_replace_its_correction(driver, client, auth, people):
    await driver.deliver(people.entitled())
    first = await submit(client, auth, people.form(70))
    corrected = await submit(client, auth, people.form(40))
    late = await submit(client, auth, people.form(70))
    assert (late.status_code, late.json()) == (200, corrected.json())
    assert late.json()["assessment_id"] == first.json()["assessment_id"]
    await sign(client, auth, first.json()["assessment_id"])
    late = await submit(client, auth, people.form(70))
    assert (late.status_code, late.json()["state"], late.json()["level"]) == (200, "signed", corrected.json()["level"])
    [state] = await driver.emitted(AbilitiesDetermined)
    assert [ability.level for ability in state.abilities] == [corrected.json()["level"]]


async def test_a_form_of_a_cancelled_assessment_can_be_sent_again(driver, client, auth, people):
    await driver.deliver(people.entitled())
    first = await submit(client, auth, people.form(70))
    await driver.deliver(people.entitled(version=2, granted=False))
    await driver.deliver(people.entitled(version=3))
    again = await submit(client, auth, people.form(70))
    assert (again.status_code, again.json()["level"]) == (201, first.json()["level"])
    assert again.json()["assessment_id"] != first.json()["assessment_id"]


async def test_the_person_who_submitted_may_not_sign(driver, client, auth, people):
    await driver.deliver(people.entitled())
    submitted = await submit(client, auth, people.form(70))
    refused = await sign(client, auth, submitted.json()["assessment_id"], subject="nurse-1")
    assert (refused.status_code, refused.json()["code"]) == (403, "same_person")


async def test_an_assessor_with_a_second_account_may_not_sign_the_own_form(driver, client, auth, people):
    await driver.deliver(people.entitled())
    submitted = await submit(client, auth, people.form(70))
    refused = await sign(client, auth, submitted.json()["assessment_id"], subject="other-account", user="nurse-1")
    assert (refused.status_code, refused.json()["code"]) == (403, "same_person")


async def test_a_newer_result_closes_the_older_at_its_own_date(driver, database, client, auth, people, today):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(70))
    today(date(2027, 3, 1))
    await assessed(client, auth, people.form(40, on=date(2027, 2, 28), reason="incident"))
    *_, state = await driver.emitted(AbilitiesDetermined)
    assert state.version == 2
    assert [(a.level, a.valid_from, a.valid_to) for a in state.abilities] == [
        (1, TODAY, date(2027, 2, 28)),
        (3, date(2027, 2, 28), date(2028, 2, 28)),
    ]
    assert await check(database, date(2027, 3, 1)) == []


async def test_an_older_assessment_signed_later_ends_where_the_newer_begins(driver, client, auth, people):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(40))
    await assessed(client, auth, people.form(70, on=date(2026, 11, 1), reason="other"))
    *_, state = await driver.emitted(AbilitiesDetermined)
    assert [(a.level, a.valid_from, a.valid_to) for a in state.abilities] == [
        (1, date(2026, 11, 1), TODAY),
        (3, TODAY, date(2027, 11, 22)),
    ]


async def test_a_result_about_to_run_out_is_renewed_and_not_before(driver, database, client, auth, people, today):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(70))
    await request_assessments.look_again(database)
    today(date(2027, 10, 22))
    await request_assessments.look_again(database)
    assert [r.reason for r in await driver.emitted(AssessmentRequested)] == ["first"]
    today(date(2027, 10, 23))
    assert await request_assessments.look_again(database) == 1
    assert [r.reason for r in await driver.emitted(AssessmentRequested)] == ["first", "regular"]


async def test_every_fault_of_a_form_is_reported(driver, client, auth, people):
    await driver.deliver(people.entitled())
    form = people.form(90, on=date(2026, 11, 23), assessors=["n", "n"])
    form["items"]["B2.4"] = 4
    refused = await submit(client, auth, form)
    assert refused.status_code == 422
    assert {(p["pointer"], p["code"]) for p in refused.json()["problems"]} == {
        ("/body/items/B2.4", "out_of_range"),
        ("/body/assessed_on", "in_the_future"),
        ("/body/assessors", "not_two"),
    }


async def test_an_id_number_is_not_taken_as_an_assessor(driver, client, auth, people):
    await driver.deliver(people.entitled())
    refused = await submit(client, auth, people.form(90, assessors=["nurse-1", "53030219500101001X"]))
    assert [p["pointer"] for p in refused.json()["problems"]] == ["/body/assessors/1"]


@pytest.mark.parametrize("reader", [("officer", "530303"), ("assessor", "141125"), ("officer", "141125")])
async def test_a_caller_neither_sees_nor_fills_assessments_of_another_area(driver, client, auth, people, reader):
    role, division = reader
    await driver.deliver(people.entitled())
    assessment_id = (await submit(client, auth, people.form(70))).json()["assessment_id"]
    headers = auth(role, division=division, subject="stranger")
    assert (await client.get(f"/v1/assessments/{assessment_id}", headers=headers)).status_code == 404
    person = people.ident("p1")
    assert (await client.get(f"/v1/persons/{person}/assessments", headers=headers)).status_code == 404
    if role == "assessor":
        assert (await client.post("/v1/assessments", json=people.form(71), headers=headers)).status_code == 403
        assert (await client.post(f"/v1/assessments/{assessment_id}/sign", headers=headers)).status_code == 403


async def test_after_a_move_an_assessor_of_the_new_area_assesses_the_person(driver, database, client, auth, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, division="530303001"))
    await request_assessments.look_again(database)
    headers = auth(division="530303", subject="nurse-3")
    assert (await client.post("/v1/assessments", json=people.form(70), headers=headers)).status_code == 201


async def test_an_assessment_that_waits_for_its_signature_survives_a_move(driver, database, client, auth, people):
    await driver.deliver(people.entitled())
    submitted = (await submit(client, auth, people.form(70))).json()
    await driver.deliver(people.entitled(version=2, division="530303001"))
    await request_assessments.look_again(database)
    assert (await sign(client, auth, submitted["assessment_id"])).status_code == 200
    assert await check(database, TODAY) == []


@pytest.mark.parametrize("state", [{"granted": False}, {"died_on": TODAY}])
async def test_a_form_without_a_request_that_waits_for_its_signature_is_no_fault(
    driver, database, client, auth, people, state
):
    await driver.deliver(people.entitled(**state))
    submitted = (await submit(client, auth, people.form(70))).json()
    assert await check(database, TODAY) == []
    assert (await sign(client, auth, submitted["assessment_id"])).status_code == 200
    assert await check(database, TODAY) == []


async def test_the_end_of_an_entitlement_keeps_a_form_without_a_request(driver, database, client, auth, people):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(70))
    submitted = (await submit(client, auth, people.form(60, reason="incident"))).json()
    await driver.deliver(people.entitled(version=2, granted=False))
    assert await driver.emitted(AssessmentCancelled) == []
    assert (await sign(client, auth, submitted["assessment_id"])).status_code == 200
    assert await check(database, TODAY) == []


async def test_a_death_or_a_merge_ends_the_form_of_a_person_who_was_never_entitled(driver, client, auth, people):
    for person, gone in (("p1", {"died_on": date(2026, 11, 20)}), ("p2", {"merged_into": people.ident("survivor")})):
        await driver.deliver(people.entitled(person, granted=False))
        submitted = (await submit(client, auth, people.form(70, person=person))).json()
        await driver.deliver(people.entitled(person, version=2, granted=False, **gone))
        assert (await sign(client, auth, submitted["assessment_id"])).json()["code"] == "assessment_is_cancelled"
        refused = await submit(client, auth, people.form(60, person=person))
        assert (refused.status_code, refused.json()["code"]) == (409, "person_gone")
    assert [c.reason for c in await driver.emitted(AssessmentCancelled)] == ["died", "merged"]


async def test_an_unknown_or_dead_person_is_not_assessed(driver, client, auth, people):
    assert (await submit(client, auth, people.form(70))).status_code == 404
    await driver.deliver(people.entitled(died_on=date(2026, 11, 20)))
    refused = await submit(client, auth, people.form(70))
    assert (refused.status_code, refused.json()["code"]) == (409, "person_gone")


async def test_results_are_shown_as_they_were_in_force_and_as_they_were_known(driver, client, auth, people, today):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(70))
    today(date(2027, 3, 1))
    await assessed(client, auth, people.form(40, on=date(2027, 3, 1)))
    url, headers = f"/v1/persons/{people.ident('p1')}/assessments", auth("officer")
    levels = {}
    for query in ("", "?on=2027-02-28", "?on=2027-03-01", "?known_at=2027-01-01T00:00:00Z"):
        levels[query] = [r["level"] for r in (await client.get(url + query, headers=headers)).json()["results"]]
    assert levels == {"": [1, 3], "?on=2027-02-28": [1], "?on=2027-03-01": [3], "?known_at=2027-01-01T00:00:00Z": [1]}


async def read(client, auth, people, **params):
    url = f"/v1/persons/{people.ident('p1')}/assessments"
    answer = await client.get(url, params=params, headers=auth("officer"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_assessment_is_shown_as_it_was_known(driver, client, auth, people, today):
    await driver.deliver(people.entitled())
    today(date(2026, 11, 23))
    submitted = (await submit(client, auth, people.form(70))).json()
    today(date(2026, 11, 25))
    await sign(client, auth, submitted["assessment_id"])
    later = ("level", "total", "assessed_on", "scale", "submitted_by", "signed_by", "signed_at")
    known = {}
    for day in range(21, 26):
        rows = (await read(client, auth, people, known_at=f"2026-11-{day}T12:00:00Z"))["assessments"]
        known[day] = [(row["state"], *(row[name] is not None for name in later)) for row in rows]
    scored = ("scored", True, True, True, True, True, False, False)
    assert known == {
        21: [],
        22: [("requested", *(False for _ in later))],
        23: [scored],
        24: [scored],
        25: [("signed", *(True for _ in later))],
    }
    assert (await read(client, auth, people))["assessments"][0]["state"] == "signed"


async def test_a_cancelled_assessment_was_open_before(driver, client, auth, people, today):
    await driver.deliver(people.entitled())
    await submit(client, auth, people.form(70))
    today(date(2026, 11, 24))
    await driver.deliver(people.entitled(version=2, granted=False))
    known = []
    for at in ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"):
        (row,) = (await read(client, auth, people, known_at=at))["assessments"]
        known.append((row["state"], row["cancelled_for"], row["level"]))
    assert known == [("scored", None, 1), ("cancelled", "not_entitled", 1)]


async def test_the_level_of_a_replaced_form_is_not_shown_as_known_before_it(driver, client, auth, people, today):
    await driver.deliver(people.entitled())
    await submit(client, auth, people.form(70))
    today(date(2026, 11, 24))
    await submit(client, auth, people.form(40))
    known = []
    for at in ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"):
        (row,) = (await read(client, auth, people, known_at=at))["assessments"]
        known.append((row["state"], row["level"], row["submitted_by"]))
    assert known == [("scored", None, None), ("scored", 3, "nurse-1")]


async def test_assessments_are_read_in_pages_newest_first(driver, client, auth, people, today):
    await driver.deliver(people.entitled())
    made = []
    for day in (23, 24, 25):
        today(date(2026, 11, day))
        made.insert(0, (await assessed(client, auth, people.form(day)))["assessment_id"])
    first = await read(client, auth, people, limit=2)
    second = await read(client, auth, people, limit=2, after=first["next"])
    assert [row["assessment_id"] for row in first["assessments"] + second["assessments"]] == made
    assert second["next"] is None
    (newest_then,) = (await read(client, auth, people, limit=1, known_at="2026-11-24T12:00:00Z"))["assessments"]
    assert newest_then["assessment_id"] == made[1]


async def test_a_coma_is_complete_loss_without_points(driver, client, auth, people):
    await driver.deliver(people.entitled())
    row = await assessed(client, auth, people.form(0) | {"items": {}, "coma": True})
    assert (row["total"], row["level"], row["changed_by"]) == (None, 4, ["coma"])


async def test_a_stored_level_that_does_not_follow_from_the_form_is_found(driver, database, client, auth, people):
    await driver.deliver(people.entitled())
    row = await assessed(client, auth, people.form(70))
    await database.pool.execute("UPDATE cases SET level = 2 WHERE assessment_id = $1", row["assessment_id"])
    faults = await check(database, TODAY)
    assert len(faults) == 2
    assert all(row["assessment_id"] in fault for fault in faults)


async def test_a_lost_result_is_a_fault_and_stops_no_other_check(driver, database, client, auth, people):
    await driver.deliver(people.entitled())
    await assessed(client, auth, people.form(70))
    await database.pool.execute("DELETE FROM results")
    faults = await check(database, TODAY)
    assert f"person {people.ident('p1')}: 0 results, but 1 were emitted" in faults
    async with database.reading() as connection:
        assert await expected_heads(connection, [people.ident("p1")]) == []


async def test_one_key_is_one_assessment_and_another_form_under_it_is_refused(
    driver, database, client, auth, people, today
):
    await driver.deliver(people.entitled())
    headers = auth(subject="nurse-1") | {"Idempotency-Key": "form-1"}
    sent = [client.post("/v1/assessments", json=people.form(70), headers=headers) for _ in range(4)]
    made = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in made) == [200, 200, 200, 201]
    (assessment_id,) = {answer.json()["assessment_id"] for answer in made}
    other = await client.post("/v1/assessments", json=people.form(60), headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert (await sign(client, auth, assessment_id)).status_code == 200
    again = await client.post("/v1/assessments", json=people.form(70), headers=headers)
    assert (again.status_code, again.json()["assessment_id"], again.json()["state"]) == (200, assessment_id, "signed")
    assert await database.pool.fetchval("SELECT count(*) FROM cases") == 1
