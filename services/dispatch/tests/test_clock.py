from datetime import date, timedelta

from common.events import TaskWithdrawn, VisitFailed, VisitMissed, VisitOffered, VisitOfferExpired
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks


async def until_quiet(database):
    while await open_due_windows(database) + await watch_tasks(database):
        pass


async def test_an_offer_without_an_answer_expires_and_goes_to_the_next_provider(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.TOWN)
    await add_provider(story.B, story.COUNTY)
    await driver.deliver(story.visiting(interval_days=31))
    today(story.TODAY + timedelta(days=1), hour=9)
    await until_quiet(database)
    assert await driver.emitted(VisitOfferExpired) == []
    today(story.TODAY + timedelta(days=1), hour=11)
    await until_quiet(database)
    await until_quiet(database)
    [expired] = await driver.emitted(VisitOfferExpired)
    assert expired.provider == story.A
    assert [(w.provider, w.reason) for w in await driver.emitted(TaskWithdrawn)] == [(story.A, "offer_expired")]
    assert [o.provider for o in await driver.emitted(VisitOffered)] == [story.A, story.B]
    assert await check(database, story.TODAY + timedelta(days=1)) == []


async def test_a_window_that_passes_is_missed_and_another_visit_dispatched(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.TOWN)
    await driver.deliver(story.visiting(interval_days=31))
    today(date(2026, 11, 29), hour=0)
    await until_quiet(database)
    [missed] = await driver.emitted(VisitMissed)
    assert missed.window_to == date(2026, 11, 29)
    [again] = [t for t in await tasks() if t["reason"] == "redispatch"]
    assert (again["state"], again["window_from"], again["window_to"]) == (
        "offered",
        date(2026, 11, 29),
        date(2026, 12, 2),
    )
    assert await check(database, date(2026, 11, 29)) == []


async def test_redispatch_ends_after_its_limit(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(interval_days=31, to=date(2027, 2, 1)))
    for day in range(8, 60):
        today(story.TODAY + timedelta(days=day), hour=0)
        await until_quiet(database)
        assert await check(database, story.TODAY + timedelta(days=day)) == []
    rounds = [t["redispatches"] for t in await tasks() if t["origin_task_id"] is not None]
    assert max(rounds) == 2
    assert all(t["origin_task_id"] is not None for t in await tasks() if t["redispatches"])


async def test_a_visit_without_an_end_fails_and_is_made_again(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.TOWN)
    await driver.deliver(story.visiting(interval_days=31))
    [task] = await tasks(state="offered")
    for step in ("accept", "check-in"):
        url = f"/v1/tasks/{task['task_id']}/{step}"
        assert (await client.post(url, headers=auth("provider", provider=story.A))).status_code == 200
    today(story.TODAY, hour=23)
    await until_quiet(database)
    assert [f.reason for f in await driver.emitted(VisitFailed)] == ["no_check_out"]
    assert [t["reason"] for t in await tasks(state="offered")] == ["redispatch"]


async def test_a_window_further_ahead_is_offered_a_week_before(driver, database, tasks, add_provider, today, story):
    await add_provider(story.A, story.TOWN)
    await driver.deliver(story.visiting(interval_days=31))
    [ahead] = await tasks(state="planned")
    assert (ahead["window_from"], ahead["cause"]) == (date(2026, 12, 1), None)
    today(date(2026, 11, 24), hour=0)
    await watch_tasks(database)
    assert ahead["task_id"] in [t["task_id"] for t in await tasks(state="offered")]


async def test_a_missed_check_after_a_suspicion_is_tried_again_on_the_next_day(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.TOWN)
    await driver.deliver(story.visiting(death_suspected_on=story.TODAY))
    today(story.TODAY + timedelta(days=1), hour=0)
    await until_quiet(database)
    [again] = await tasks(state="offered")
    assert (again["reason"], again["window_to"]) == ("suspicion", story.TODAY + timedelta(days=2))


async def test_a_missed_visit_has_no_successor_after_the_entitlement_ends(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(to=date(2026, 11, 25)))
    today(date(2026, 12, 5))
    await watch_tasks(database)  # the clock of tasks may come first
    await until_quiet(database)
    assert [t["reason"] for t in await tasks() if t["act_at"] is not None] == []
    assert await check(database, date(2026, 12, 5)) == []
