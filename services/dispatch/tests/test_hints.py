"""Stays and incidents from sources that are not responsible for the person: visits continue, or become calls."""

from datetime import date, timedelta

import pytest
from common.events import VisitPlanned
from common.events.entitlement import Circumstances, HospitalStayTold, IncidentTold
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks


def stay(since, until=None, *, hint=True):
    return Circumstances(in_hospital=(HospitalStayTold(event_id="stay", from_=since, to=until, hint=hint),))


def fall(*, hint=True):
    return Circumstances(incidents=(IncidentTold(event_id="fall", on=date(2026, 11, 21), hint=hint),))


def open_(tasks):
    return sorted((t["reason"], t["window_from"], t["by"]) for t in tasks if t["state"] == "offered")


@pytest.fixture(autouse=True)
async def provider(add_provider, story):
    await add_provider(story.A, story.COUNTY)


async def test_a_hinted_stay_pauses_no_visit_and_a_call_may_take_its_place(driver, database, tasks, story):
    await driver.deliver(story.visiting(circumstances=stay(date(2026, 11, 20))), times=2)
    assert {by for _, _, by in open_(await tasks())} == {"call"}
    assert [reason for reason, _, _ in open_(await tasks())] == ["first", "plan"]
    assert await database.pool.fetchval("SELECT state FROM plans") == "active"
    assert {event.by for event in await driver.emitted(VisitPlanned)} == {"call"}
    messages = await database.pool.fetch("SELECT convert_from(payload, 'UTF8') FROM feed ORDER BY seq")
    assert len(messages) == 2
    assert all('"by":"call"' in row[0] for row in messages)
    assert await check(database, story.TODAY) == []


async def test_visits_that_are_planned_become_calls_when_a_hint_comes_and_visits_when_it_is_gone(
    driver, database, tasks, story
):
    await driver.deliver(story.visiting())
    routine = open_(await tasks())
    assert {by for _, _, by in routine} == {"visit"}
    decisions = ((2, stay(date(2026, 11, 20)), "call"), (3, None, "visit"), (4, stay(None), "call"))
    for version, circumstances, by in decisions:
        await driver.deliver(story.visiting(version=version, circumstances=circumstances), times=2)
        assert open_(await tasks()) == [(reason, day, by) for reason, day, _ in routine]
        assert await check(database, story.TODAY) == []


async def test_a_visit_under_way_stays_a_visit(driver, database, tasks, story):
    await driver.deliver(story.visiting())
    await database.pool.execute("UPDATE tasks SET state = 'in_progress', checked_in_at = now() WHERE reason = 'first'")
    await driver.deliver(story.visiting(version=2, circumstances=stay(None)))
    (begun,) = [t for t in await tasks() if t["reason"] == "first"]
    assert (begun["state"], begun["by"]) == ("in_progress", "visit")


async def test_calls_become_visits_on_the_day_on_which_a_hinted_stay_ends(driver, database, tasks, today, story):
    home = story.TODAY + timedelta(days=2)
    await driver.deliver(story.visiting(circumstances=stay(date(2026, 11, 20), home)))
    assert {by for _, day, by in open_(await tasks()) if day < home} == {"call"}
    assert {by for _, day, by in open_(await tasks()) if day >= home} <= {"visit"}
    today(home)
    await open_due_windows(database)
    assert {by for _, _, by in open_(await tasks())} == {"visit"}
    assert "discharge" not in {t["reason"] for t in await tasks()}
    assert await check(database, home) == []


async def test_a_stay_that_becomes_certain_pauses_the_visits(driver, database, tasks, story):
    await driver.deliver(story.visiting(circumstances=stay(date(2026, 11, 20))))
    await driver.deliver(story.visiting(version=2, circumstances=stay(date(2026, 11, 20), hint=False)), times=2)
    assert open_(await tasks()) == []
    assert tuple(await database.pool.fetchrow("SELECT state, cause FROM plans")) == ("paused", "in_hospital")


async def test_a_hinted_stay_leads_to_no_question(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=stay(date(2026, 6, 1))))
    today(story.TODAY + timedelta(days=20))
    await open_due_windows(database)
    assert "stay" not in {t["reason"] for t in await tasks()}


async def test_a_hinted_incident_brings_a_call_and_a_visit_once_it_is_certain(driver, tasks, story):
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, circumstances=fall()), times=2)
    assert [t["by"] for t in await tasks() if t["reason"] == "incident"] == ["call"]
    await driver.deliver(story.visiting(version=3, circumstances=fall(hint=False)), times=2)
    assert sorted(t["by"] for t in await tasks() if t["reason"] == "incident") == ["call", "visit"]
    await driver.deliver(story.visiting(version=4, circumstances=fall()))
    assert len([t for t in await tasks() if t["reason"] == "incident"]) == 2


async def test_a_call_that_was_missed_is_made_good_by_a_visit(driver, database, tasks, today, story):
    await driver.deliver(story.visiting(circumstances=fall()))
    today(story.TODAY + timedelta(days=3))
    await watch_tasks(database)
    assert {t["by"] for t in await tasks() if t["reason"] == "redispatch"} == {"visit"}
