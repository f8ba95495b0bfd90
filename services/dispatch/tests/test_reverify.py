"""Old living tags lead to one visit that verifies them, and end no entitlement."""

import asyncio
from datetime import date, datetime, timedelta

from common.calendar import SHANGHAI
from common.events import TaskWithdrawn, VisitCancelled
from common.events.entitlement import Circumstances, HospitalStayTold, LivingTagsTold
from dispatch.domain.task import OPEN
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks

VERIFIED = date(2025, 12, 15)
OLD = date(2026, 12, 15)


def tagged(*verified: date, until: date | None = None, **beside) -> Circumstances:
    return Circumstances(living_tags=tuple(LivingTagsTold(verified_on=day, to=until) for day in verified), **beside)


def living_alone(story, version=1, verified=VERIFIED, **fields):
    fields.setdefault("circumstances", tagged(verified))
    return story.visiting(version=version, reverify_months=12, **fields)


async def until_quiet(database):
    while await open_due_windows(database) + await watch_tasks(database):
        pass


async def pass_days(database, today, first, last):
    for n in range((last - first).days + 1):
        today(first + timedelta(days=n))
        await until_quiet(database)


async def reverified(tasks):
    return [t for t in await tasks() if t["reason"] == "reverify"]


async def test_the_day_on_which_tags_grow_old_brings_one_visit_and_the_next_days_no_other(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story), times=3)
    await pass_days(database, today, story.TODAY, OLD - timedelta(days=1))
    assert await reverified(tasks) == []
    today(OLD, hour=0)
    await asyncio.gather(open_due_windows(database), open_due_windows(database))
    [task] = await reverified(tasks)
    assert (task["state"], task["provider"], task["division"]) == ("offered", story.A, story.TOWN)
    assert (task["window_from"], task["window_to"]) == (OLD, OLD + timedelta(days=30))
    assert task["accept_by"] - datetime(2026, 12, 16, tzinfo=SHANGHAI) < timedelta(minutes=1)
    assert task["entitlement_id"] == living_alone(story).entitlements[0].entitlement_id
    await driver.deliver(living_alone(story, 2), living_alone(story), times=2)
    await pass_days(database, today, OLD + timedelta(days=1), OLD + timedelta(days=8))
    assert len(await reverified(tasks)) == 1
    routine = [t for t in await tasks() if t["reason"] == "plan" and t["window_to"] > OLD]
    assert len(routine) >= 2  # the visits go on
    assert "cancelled" not in {t["state"] for t in await tasks()}
    assert await check(database, OLD + timedelta(days=8)) == []


async def test_tags_that_were_old_when_they_came_wait_until_the_first_visit_is_over(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story, verified=date(2023, 1, 1)), times=2)
    assert [t["reason"] for t in await tasks(state="offered")] == ["first", "plan"]
    await pass_days(database, today, story.TODAY, story.TODAY + timedelta(days=6))
    assert await reverified(tasks) == []
    await pass_days(database, today, story.TODAY + timedelta(days=7), story.TODAY + timedelta(days=9))
    [task] = await reverified(tasks)
    assert task["window_from"] == story.TODAY + timedelta(days=7)


async def test_a_day_without_the_service_is_caught_up(driver, database, tasks, today, story):
    await driver.deliver(living_alone(story))
    today(OLD + timedelta(days=3))
    await until_quiet(database)
    [task] = await reverified(tasks)
    assert task["window_from"] == OLD + timedelta(days=3)


async def test_a_newer_verification_calls_the_visit_off_and_its_annulment_asks_again(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story))
    today(OLD)
    await until_quiet(database)
    await driver.clear_outbox()
    await driver.deliver(living_alone(story, 2, verified=OLD), times=2)
    [task] = await reverified(tasks)
    assert (task["state"], task["cause"]) == ("cancelled", "superseded")
    assert [c.task_id for c in await driver.emitted(VisitCancelled)] == [task["task_id"]]
    assert [w.task_id for w in await driver.emitted(TaskWithdrawn)] == [task["task_id"]]
    await driver.deliver(living_alone(story, 3), times=2)
    assert sorted(t["state"] for t in await reverified(tasks)) == ["cancelled", "offered"]
    assert await check(database, OLD) == []


async def test_the_visit_is_called_off_when_the_tags_end_and_when_the_person_dies(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    for version, what in ((2, {"circumstances": tagged(VERIFIED, until=OLD)}), (4, {"died_on": OLD})):
        await driver.deliver(living_alone(story, version - 1))
        today(OLD + timedelta(days=version))
        await until_quiet(database)
        assert [t["state"] in OPEN for t in await reverified(tasks)].count(True) == 1
        await driver.deliver(living_alone(story, version, **what), times=2)
        assert {t["state"] for t in await reverified(tasks)} == {"cancelled"}
    await pass_days(database, today, OLD + timedelta(days=5), OLD + timedelta(days=40))
    assert {t["state"] for t in await reverified(tasks)} == {"cancelled"}


async def test_tags_are_not_verified_during_a_stay_and_are_verified_after_the_discharge(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story))
    today(OLD)
    await until_quiet(database)
    home = OLD + timedelta(days=10)
    stay = HospitalStayTold(event_id="stay", from_=OLD, to=home)
    await driver.deliver(living_alone(story, 2, circumstances=tagged(VERIFIED, in_hospital=(stay,))))
    assert [t["state"] for t in await reverified(tasks)] == ["cancelled"]
    await pass_days(database, today, OLD, home + timedelta(days=20))
    assert [t["state"] in OPEN for t in await reverified(tasks)] == [False, True]
    assert await check(database, home + timedelta(days=20)) == []


async def make_visit(client, auth, story, task):
    for step in ("accept", "check-in", "check-out"):
        url = f"/v1/tasks/{task['task_id']}/{step}"
        assert (await client.post(url, headers=auth("provider", provider=story.A))).status_code == 200


async def test_a_visit_made_is_not_asked_again_after_a_stay_in_hospital_nor_a_suspicion(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story))
    today(OLD)
    await until_quiet(database)
    [task] = await reverified(tasks)
    await make_visit(client, auth, story, task)
    today(OLD + timedelta(days=1))
    await driver.deliver(living_alone(story, 2, death_suspected_on=OLD))
    await driver.deliver(living_alone(story, 3))
    await pass_days(database, today, OLD + timedelta(days=2), OLD + timedelta(days=12))
    assert [t["state"] for t in await reverified(tasks)] == ["completed"]


async def test_a_verification_made_before_a_move_does_not_replace_the_visits_of_its_month(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(living_alone(story))
    today(OLD)
    await until_quiet(database)
    [task] = await reverified(tasks)
    await make_visit(client, auth, story, task)
    today(OLD + timedelta(days=1))
    await driver.deliver(living_alone(story, 2, division="530303002"))
    at_the_new_place = [t for t in await tasks() if t["division"] == "530303002" and t["reason"] == "plan"]
    assert min(t["window_from"] for t in at_the_new_place) == OLD + timedelta(days=7)
    assert await check(database, OLD + timedelta(days=1)) == []


async def test_after_a_move_the_provider_of_the_new_place_verifies_the_tags(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(living_alone(story))
    today(OLD)
    await until_quiet(database)
    await driver.deliver(living_alone(story, 2, division="530303002"), times=2)
    assert {(t["provider"], t["state"]) for t in await reverified(tasks)} == {
        (story.A, "cancelled"),
        (story.B, "offered"),
    }


async def test_a_missed_verification_is_repeated_with_its_reason_and_then_waits_for_another_term(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(living_alone(story, tier="C", interval_days=31))
    await pass_days(database, today, OLD, OLD + timedelta(days=60))
    tried = await reverified(tasks)
    assert [(t["state"], t["redispatches"]) for t in tried] == [("missed", 0), ("missed", 1), ("missed", 2)]
    again = date(2027, 12, 15)
    today(again)
    await until_quiet(database)
    assert [t["window_from"] for t in await reverified(tasks) if t["state"] != "missed"] == [again]


async def test_a_list_without_a_term_believes_its_tags_for_ever(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=tagged(date(2020, 1, 1))))
    await pass_days(database, today, story.TODAY, story.TODAY + timedelta(days=10))
    assert await reverified(tasks) == []
