"""An open hospital stay pauses the visits, and the platform asks every 15 days whether it still goes on."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from common.events import TaskOffered, VisitCancelled
from common.events.entitlement import Circumstances, HospitalStayTold
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks

ADMITTED = date(2026, 11, 20)
FIRST_ASKED = ADMITTED + timedelta(days=15)


def in_hospital(from_=ADMITTED, to=None, event_id="stay"):
    return Circumstances(in_hospital=(HospitalStayTold(event_id=event_id, from_=from_, to=to),))


async def until_quiet(database):
    while await open_due_windows(database) + await watch_tasks(database):
        pass


async def pass_days(database, today, first, last):
    for n in range((last - first).days + 1):
        today(first + timedelta(days=n))
        await until_quiet(database)
        assert await check(database, first + timedelta(days=n)) == []


async def asked(tasks, *, first_tries=True):
    found = [t for t in await tasks() if t["reason"] == "stay"]
    return [t for t in found if not first_tries or t["origin_task_id"] is None]


async def test_an_open_stay_is_asked_about_every_fifteen_days_and_the_visits_stay_paused(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital()), times=2)
    await pass_days(database, today, story.TODAY, FIRST_ASKED - timedelta(days=1))
    assert await tasks() == []
    await pass_days(database, today, FIRST_ASKED, FIRST_ASKED)
    [task] = await asked(tasks)
    assert (task["state"], task["provider"], task["division"]) == ("offered", story.A, story.TOWN)
    assert (task["window_from"], task["window_to"]) == (FIRST_ASKED, FIRST_ASKED + timedelta(days=5))
    assert [o.reason for o in await driver.emitted(TaskOffered)] == ["stay"]
    await driver.deliver(story.visiting(version=2, tier="B", circumstances=in_hospital()), times=2)
    await pass_days(database, today, FIRST_ASKED + timedelta(days=1), FIRST_ASKED + timedelta(days=35))
    assert [t["window_from"] for t in await asked(tasks)] == [FIRST_ASKED + timedelta(days=n) for n in (0, 15, 30)]
    assert {t["reason"] for t in await tasks()} == {"stay"}


async def test_a_stay_learnt_late_is_asked_about_at_once_and_then_on_its_days(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=in_hospital(date(2026, 8, 20))), times=2)
    assert [t["window_from"] for t in await asked(tasks)] == [story.TODAY]
    await pass_days(database, today, story.TODAY, date(2026, 12, 4))
    assert [t["window_from"] for t in await asked(tasks)] == [story.TODAY, date(2026, 12, 3)]  # 7 × 15 days


async def test_a_stay_without_a_beginning_is_asked_about_too(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=in_hospital(None)), times=2)
    await pass_days(database, today, story.TODAY, story.TODAY + timedelta(days=29))
    days = [t["window_from"] for t in await asked(tasks)]
    assert days[0] == story.TODAY
    assert len(days) in (2, 3)
    assert all((b - a).days <= 15 for a, b in pairwise(days))


@pytest.mark.parametrize(("length", "questions"), [(14, 0), (29, 0), (30, 0), (45, 1), (36_500, 3)])
async def test_a_stay_whose_end_is_near_is_not_asked_about(driver, database, tasks, today, story, length, questions):
    await driver.deliver(story.visiting(circumstances=in_hospital(to=ADMITTED + timedelta(days=length))))
    await pass_days(database, today, story.TODAY, ADMITTED + timedelta(days=50))
    assert len(await asked(tasks)) == questions


async def test_a_discharge_calls_the_question_off_and_starts_the_visits(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital()))
    today(FIRST_ASKED)
    await until_quiet(database)
    [task] = await asked(tasks)
    await driver.deliver(story.visiting(version=2, circumstances=in_hospital(to=FIRST_ASKED)), times=2)
    assert [(c.task_id, c.reason) for c in await driver.emitted(VisitCancelled)] == [(task["task_id"], "resolved")]
    assert sorted(t["reason"] for t in await tasks(state="offered")) == ["discharge", "plan"]
    assert await check(database, FIRST_ASKED) == []


async def test_an_answer_does_not_end_the_stay_and_the_next_question_comes(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital()))
    today(FIRST_ASKED)
    await until_quiet(database)
    [task] = await asked(tasks)
    for step in ("accept", "check-in", "check-out"):
        url = f"/v1/tasks/{task['task_id']}/{step}"
        assert (await client.post(url, headers=auth("provider", provider=story.A))).status_code == 200
    await pass_days(database, today, FIRST_ASKED + timedelta(days=1), FIRST_ASKED + timedelta(days=15))
    assert [t["state"] for t in await asked(tasks)] == ["completed", "offered"]
    assert {t["reason"] for t in await tasks()} == {"stay"}


async def test_an_unanswered_question_is_tried_again_as_a_question(driver, database, tasks, add_provider, today, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital()))
    await pass_days(database, today, FIRST_ASKED, FIRST_ASKED + timedelta(days=14))
    tried = await asked(tasks, first_tries=False)
    assert [(t["state"], t["redispatches"]) for t in tried] == [("missed", 0), ("missed", 1), ("missed", 2)]


async def test_a_move_during_the_stay_asks_at_the_new_place(driver, database, tasks, add_provider, today, story):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital()))
    today(FIRST_ASKED)
    await until_quiet(database)
    moved = story.visiting(version=2, division="530303002", circumstances=in_hospital())
    await driver.deliver(moved, times=2)
    assert sorted((t["provider"], t["state"], t["cause"]) for t in await asked(tasks)) == [
        (story.A, "cancelled", "moved"),
        (story.B, "offered", None),
    ]
    assert await check(database, FIRST_ASKED) == []


async def test_a_missing_question_about_a_stay_is_a_fault(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=in_hospital()))
    today(FIRST_ASKED)
    await database.pool.execute("UPDATE plans SET act_on = NULL")
    assert any(
        "the question about the open hospital stay was not asked" in f for f in await check(database, FIRST_ASKED)
    )
