"""Finding and revealing people: area scope and audit."""

import msgspec
import pytest
from shell.access.auth import ROLES, issue_token


@pytest.fixture
async def known(push, people, admin):
    """A person who lives in Qilin and is registered in Yuci."""
    number = people.number(1)
    register = people.registration(number)
    register["data"]["value"]["hukou_division"] = "140702"
    register["source"] = "urn:cn:exchange:140700:psb"  # people are registered by their own area
    future = people.residence(number, "530304001", id="later", valid_from="2027-01-01")
    future["data"]["value"]["address"] = "曲靖市马龙区别处"
    lives = people.residence(number)
    lives["source"] = future["source"] = register["source"]  # a claimed place gives no access
    await push(register, lives, future, expect="accepted")
    answer = await admin.post("/v1/persons/lookup", json={"id_number": number})
    return number, answer.json()["person_id"]


async def test_a_person_is_seen_masked_with_the_facts_of_the_day(known, admin):
    number, person_id = known
    seen = (await admin.get(f"/v1/persons/{person_id}")).json()
    assert seen["id_number"] == f"{number[:4]}**********{number[-4:]}"
    assert (seen["name"], seen["address"]) == ("张**", "曲靖市麒麟区****")
    assert (seen["life"], seen["birth_date"]) == ("alive", "1940-02-29")
    assert [f["kind"] for f in seen["facts"]] == ["registration", "residence", "residence"]
    later = (await admin.get(f"/v1/persons/{person_id}?on=2027-02-01")).json()
    assert later["address"] == "曲靖市马龙区****"
    before = (await admin.get(f"/v1/persons/{person_id}?known_at=2026-01-01T00:00:00Z")).json()
    assert before["facts"] == []
    assert (await admin.get(f"/v1/persons/{person_id}?known_at=2026-01-01T00:00:00")).status_code == 422


async def test_a_person_is_dead_from_the_day_of_death_on_and_alive_on_the_days_before(known, people, push, admin):
    number, person_id = known
    value = {"evidence": "register_cancelled"}
    await push(people.event("death", number, value, id="died", valid_from="2026-11-10"), expect="accepted")
    for day, life in ((9, "alive"), (10, "dead"), (20, "dead")):
        seen = (await admin.get(f"/v1/persons/{person_id}?on=2026-11-{day:02d}")).json()
        assert (seen["life"], seen["birth_date"]) == (life, "1940-02-29"), day


async def test_a_suspected_death_is_shown_from_the_day_of_its_report_on(known, people, push, admin):
    number, person_id = known
    await push(
        people.event("death", number, {"evidence": "cremation"}, id="ashes", valid_from="2026-11-10"), expect="accepted"
    )
    for day, life in ((9, "alive"), (10, "suspected_dead")):
        seen = (await admin.get(f"/v1/persons/{person_id}?on=2026-11-{day:02d}")).json()
        assert seen["life"] == life, day


async def test_officers_of_hukou_and_of_residence_find_a_person_and_others_do_not(known, client_for):
    number, person_id = known
    for division, found in (("530302", True), ("140700", True), ("140702", True), ("530303", False), ("110000", False)):
        async with client_for(issue_token("officer", division=division)) as officer:
            looked_up = await officer.post("/v1/persons/lookup", json={"id_number": number})
            seen = await officer.get(f"/v1/persons/{person_id}")
            assert (looked_up.status_code == 200, seen.status_code == 200) == (found, found), division
            if not found:
                assert (looked_up.status_code, seen.status_code) == (404, 404)


async def test_every_look_up_is_audited_also_one_without_a_result(known, people, database, client_for):
    async with client_for(issue_token("officer", division="110000")) as officer:
        await officer.post("/v1/persons/lookup", json={"id_number": known[0]})
        answer = await officer.post("/v1/persons/lookup", json={"id_number": known[0][:17] + "?"})
    assert answer.status_code == 422
    assert known[0][:17] not in answer.text
    rows = await database.pool.fetch("SELECT action, person_ids FROM audits ORDER BY audit_id")
    assert [(r[0], msgspec.json.decode(r[1])) for r in rows] == [("lookup", [known[1]]), ("lookup", [])]


async def test_every_read_of_a_person_is_audited_also_one_without_a_result(known, database, client_for):
    for division in ("530302", "110000"):
        async with client_for(issue_token("officer", division=division, subject="li")) as officer:
            await officer.get(f"/v1/persons/{known[1]}")
    rows = await database.pool.fetch("SELECT actor, person_ids FROM audits WHERE action = 'read' ORDER BY audit_id")
    assert [(r[0], msgspec.json.decode(r[1])) for r in rows] == [("li", [known[1]]), ("li", [])]


async def test_only_requested_fields_of_persons_in_the_area_are_revealed(known, client_for, database):
    number, person_id = known
    ask = {"purpose": "bank_file", "cause": "batch-1", "fields": ["name"], "person_ids": [person_id]}
    async with client_for(issue_token("service", subject="subsidy", division="530302")) as here:
        answer = (await here.post("/v1/vault/reveal", json=ask)).json()
        (person,) = answer["persons"]
        assert {k: v for k, v in person.items() if v is not None} == {"person_id": person_id, "name": "张三丰"}
        assert answer["refused"] == []
        everything = ask | {"fields": ["id_number", "name", "address"]}
        (person,) = (await here.post("/v1/vault/reveal", json=everything)).json()["persons"]
        assert (person["id_number"], person["address"]) == (number, "曲靖市麒麟区合成村五号")
    async with client_for(issue_token("service", subject="subsidy", division="110000")) as elsewhere:
        assert (await elsewhere.post("/v1/vault/reveal", json=ask)).json() == {"persons": [], "refused": [person_id]}
    rows = await database.pool.fetch("SELECT purpose, cause, fields, person_ids FROM audits WHERE action = 'reveal'")
    assert [(r[0], r[1], r[2], len(msgspec.json.decode(r[3]))) for r in rows] == [
        ("bank_file", "batch-1", "name", 1),
        ("bank_file", "batch-1", "address,id_number,name", 1),
        ("bank_file", "batch-1", "name", 0),
    ]


async def test_a_claimed_place_gives_its_officers_no_access_to_the_person(push, people, client_for):
    number = people.number(8)
    await push(people.registration(number), expect="accepted")
    claimed = people.residence(number, "140702", id="claimed")
    claimed["source"] = "urn:cn:exchange:140700:psb"
    (receipt,) = await push(claimed, expect="accepted")
    assert receipt["problems"][0]["code"] == "place_claimed"
    for division, found in (("530302", True), ("140702", False), ("140000", False)):
        async with client_for(issue_token("officer", division=division)) as officer:
            answer = await officer.post("/v1/persons/lookup", json={"id_number": number})
            assert answer.status_code == (200 if found else 404), division


@pytest.mark.parametrize("role", [role for role in ROLES if role != "service"])
async def test_no_role_of_a_user_may_reveal_a_person(known, client_for, database, role):
    ask = {"purpose": "route", "cause": "-", "fields": ["name"], "person_ids": [known[1]]}
    token = issue_token(role, division="530302", source="urn:cn:exchange:530300:psb", provider="52530302MJY0000010")
    async with client_for(token) as user:
        answer = await user.post("/v1/vault/reveal", json=ask)
    assert (answer.status_code, answer.json()["code"]) == (403, "service_only")
    assert "张三丰" not in answer.text
    assert await database.pool.fetchval("SELECT count(*) FROM audits WHERE action = 'reveal'") == 0


async def test_a_purpose_that_is_not_on_the_list_reveals_nothing(known, vault_user):
    ask = {"purpose": "curiosity", "cause": "x", "fields": ["name"], "person_ids": [known[1]]}
    assert (await vault_user.post("/v1/vault/reveal", json=ask)).status_code == 422
    ask = {"purpose": "task", "cause": "x", "fields": ["diagnosis"], "person_ids": [known[1]]}
    assert (await vault_user.post("/v1/vault/reveal", json=ask)).status_code == 422


async def test_the_newest_name_is_kept_in_any_order_of_arrival(push, people, vault_user, known):
    number, person_id = known
    for id_, name, time in (("new", "张大山", "2026-11-21T00:00:00Z"), ("old", "张小山", "2026-11-01T00:00:00Z")):
        event = people.registration(number, id=id_, time=time)
        event["data"]["value"]["name"] = name
        event["source"] = "urn:cn:exchange:140700:psb"
        await push(event, expect="accepted")
    await push(people.residence(number, id="beside", name="张他人", time="2026-11-21T08:00:00Z"))
    ask = {"purpose": "notice", "cause": "n", "fields": ["name"], "person_ids": [person_id]}
    assert (await vault_user.post("/v1/vault/reveal", json=ask)).json()["persons"][0]["name"] == "张大山"
