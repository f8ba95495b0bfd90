from datetime import date
from uuid import uuid4

import pytest
from assessment import request_assessments
from assessment.verify import check
from common.events import AssessmentCancelled, AssessmentRequested


async def cases(database):
    return [dict(r) for r in await database.pool.fetch("SELECT * FROM cases ORDER BY requested_at, assessment_id")]


async def test_an_entitled_person_without_a_result_gets_one_case(driver, database, people):
    correlation = str(uuid4())
    await driver.deliver(people.entitled(), times=3, correlation_id=correlation)
    [requested] = await driver.emitted_messages()
    assert isinstance(requested.data, AssessmentRequested)
    assert (requested.data.reason, requested.data.due_on) == ("first", date(2026, 12, 22))
    assert requested.correlation_id == correlation
    [case] = await cases(database)
    assert (case["state"], case["assessment_id"]) == ("requested", requested.data.assessment_id)


async def test_a_person_who_is_not_entitled_gets_no_case(driver, database, people):
    await driver.deliver(people.entitled(granted=False))
    assert await driver.emitted() == []
    assert await database.pool.fetchval("SELECT count(*) FROM needs") == 0


async def test_an_entitlement_of_the_future_is_asked_for_when_its_day_comes(driver, database, people, today):
    await driver.deliver(people.entitled(from_=date(2026, 12, 1)))
    await request_assessments.look_again(database)
    assert await driver.emitted() == []
    today(date(2026, 12, 3))  # two days without the service are caught up
    assert await request_assessments.look_again(database) == 1
    assert await request_assessments.look_again(database) == 0
    [requested] = await driver.emitted(AssessmentRequested)
    assert requested.person_id == people.ident("p1")


async def test_a_death_cancels_the_case(driver, database, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, to=date(2026, 11, 22), died_on=date(2026, 11, 21)), times=2)
    [cancelled] = await driver.emitted(AssessmentCancelled)
    assert cancelled.reason == "died"
    assert [case["state"] for case in await cases(database)] == ["cancelled"]
    assert await check(database, date(2026, 11, 22)) == []


async def test_a_merge_cancels_the_case_and_is_not_reported_as_a_death(driver, database, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, granted=False, merged_into=people.ident("survivor")))
    [cancelled] = await driver.emitted(AssessmentCancelled)
    assert cancelled.reason == "merged"
    assert await check(database, date(2026, 11, 22)) == []


async def test_after_a_move_the_assessment_is_requested_in_the_new_area(driver, database, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, division="530303001"))
    while await request_assessments.look_again(database):
        pass
    [cancelled] = await driver.emitted(AssessmentCancelled)
    assert cancelled.reason == "moved"
    assert [(c["state"], c["division"]) for c in await cases(database) if c["state"] == "requested"] == [
        ("requested", "530303001")
    ]
    assert [r.division for r in await driver.emitted(AssessmentRequested)] == ["530302001", "530303001"]
    assert await check(database, date(2026, 11, 22)) == []


async def test_a_death_revoked_asks_again(driver, database, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, died_on=date(2026, 11, 21)))
    await driver.deliver(people.entitled(version=3))
    assert [case["state"] for case in await cases(database)].count("requested") == 1
    assert len(await driver.emitted(AssessmentRequested)) == 2


async def test_an_entitlement_withdrawn_cancels_the_case(driver, people):
    await driver.deliver(people.entitled())
    await driver.deliver(people.entitled(version=2, granted=False))
    [cancelled] = await driver.emitted(AssessmentCancelled)
    assert cancelled.reason == "not_entitled"


async def test_an_older_decision_that_comes_late_changes_nothing(driver, database, people):
    await driver.deliver(people.entitled(version=5, granted=False))
    await driver.deliver(people.entitled(version=4))
    assert await driver.emitted() == []
    assert await cases(database) == []


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_delivery_everything(
    driver, database, people, monkeypatch
):
    def crash(point):
        if point == "before_commit":
            raise ConnectionError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr("shell.store.database.crash_point", crash)
        with pytest.raises(ConnectionError):
            await driver.deliver(people.entitled())
    assert await cases(database) == []
    assert await database.pool.fetchval("SELECT count(*) FROM heads") == 0
    await driver.deliver(people.entitled())
    assert len(await driver.emitted(AssessmentRequested)) == 1
