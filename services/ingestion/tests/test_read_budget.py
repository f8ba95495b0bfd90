"""A user may read a limited number of persons a day, over all replicas; the first refusal opens a case."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from common.events import ReadBudgetUsed
from shell import clock
from shell.access.auth import Caller, issue_token
from shell.access.read_budget import case_of, persons_a_day, spend
from shell.privacy import vault

LIMIT = 3


@pytest.fixture(autouse=True)
def small_budgets(tmp_path, monkeypatch):
    file = tmp_path / "access.yaml"
    rows = [{"role": role, "persons_a_day": LIMIT, "status": "example"} for role in ("officer", "auditor", "admin")]
    file.write_bytes(msgspec.yaml.encode({"read_budgets": rows}))
    monkeypatch.setenv("SHOUWANG_ACCESS", str(file))


@pytest.fixture
async def officer(client_for):
    async with client_for(issue_token("officer", division="530302", subject="li")) as client:
        yield client


@pytest.fixture
async def known(push, people, person_of_number):
    """The person ids of five persons who live in the officer's area."""
    numbers = [people.number(n) for n in range(5)]
    await push(*(people.residence(number) for number in numbers), expect="accepted")
    return [await person_of_number(number) for number in numbers]


@pytest.fixture
def person_of_number(database):
    async def _find(number):
        index = vault().blind_index(number)
        return await database.pool.fetchval("SELECT person_id FROM identities WHERE blind_index = $1", index)

    return _find


async def read(officer, person_id):
    return (await officer.get(f"/v1/persons/{person_id}")).status_code


def test_every_role_that_may_read_persons_has_a_budget(monkeypatch):
    monkeypatch.delenv("SHOUWANG_ACCESS")
    roles = ("officer", "approver", "assessor", "auditor", "admin")
    assert all(20 <= persons_a_day(role) <= 1_000 for role in roles)
    assert persons_a_day("service") == 0


async def test_a_person_read_again_costs_nothing_and_a_person_over_the_limit_is_refused_until_tomorrow(officer, known):
    assert [await read(officer, p) for p in known[:LIMIT] * 2] == [200] * LIMIT * 2
    answer = await officer.get(f"/v1/persons/{known[LIMIT]}")
    assert (answer.status_code, answer.json()["code"]) == (429, "read_budget_used")
    assert "name" not in answer.json()
    # 10:00 in Shanghai: fourteen hours are left of the day
    assert 14 * 3600 - 60 < int(answer.headers["retry-after"]) <= 14 * 3600 + 1
    assert await read(officer, known[0]) == 200
    clock.advance(timedelta(seconds=int(answer.headers["retry-after"])))
    assert await read(officer, known[LIMIT]) == 200


async def test_look_ups_and_reads_share_one_budget_and_unknown_numbers_count(officer, known, people):
    async def look_up(n):
        return (await officer.post("/v1/persons/lookup", json={"id_number": people.number(n)})).status_code

    assert await look_up(0) == 200
    assert await read(officer, known[0]) == 200
    assert [await look_up(900), await look_up(901), await look_up(900)] == [404, 404, 404]
    assert [await look_up(1), await look_up(902), await read(officer, known[1])] == [429, 429, 429]
    assert await look_up(0) == 200


async def test_the_first_refusal_of_a_day_emits_one_event_that_names_nobody(officer, known, driver, database):
    for person in known * 2:
        await read(officer, person)
    (told,) = await driver.emitted(ReadBudgetUsed)
    day = clock.today()
    assert (told.division, told.role, told.persons_max, told.day) == ("530302", "officer", LIMIT, day)
    assert told.case_id == case_of("li", day)
    assert "li" not in msgspec.json.encode(told).decode().replace("division", "")
    causes = await database.pool.fetch("SELECT purpose, cause, person_ids FROM audits WHERE cause <> ''")
    assert {tuple(row) for row in causes} == {("read_budget_used", told.case_id, b"[]")}
    clock.advance(timedelta(days=1))
    for person in known:
        await read(officer, person)
    assert len(await driver.emitted(ReadBudgetUsed)) == 2


async def test_another_user_has_a_budget_of_their_own(officer, known, client_for):
    for person in known:
        await read(officer, person)
    async with client_for(issue_token("officer", division="530302", subject="wang")) as other:
        assert await read(other, known[4]) == 200


async def test_reads_at_the_same_moment_do_not_exceed_the_budget(officer, known, database):
    statuses = await asyncio.gather(*(read(officer, p) for p in known * 3))
    assert statuses.count(200) == LIMIT * 3
    assert await database.pool.fetchval("SELECT cardinality(persons) FROM person_reads") == LIMIT


async def test_more_persons_at_once_than_are_left_are_refused_together(known, database):
    caller = Caller("li", "officer", "530302")
    async with database.transaction() as tx:
        assert (await spend(tx, caller, known[:2])).allowed
        assert not (await spend(tx, caller, known[1:4])).allowed
        assert (await spend(tx, caller, known[1:3])).allowed
        assert not (await spend(tx, Caller("wang", "officer", "530302"), known)).allowed
        assert not (await spend(tx, Caller("zhao", "visitor", "530302"), known[:1])).allowed
    rows = await database.pool.fetch("SELECT actor, cardinality(persons) FROM person_reads ORDER BY actor")
    assert [tuple(row) for row in rows] == [("li", 3), ("wang", 0), ("zhao", 0)]


async def test_the_reads_of_past_weeks_are_forgotten(officer, known, database):
    await read(officer, known[0])
    clock.advance(timedelta(days=8))
    await read(officer, known[0])
    assert await database.pool.fetchval("SELECT count(*) FROM person_reads") == 1
