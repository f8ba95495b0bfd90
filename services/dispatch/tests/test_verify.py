"""`check` reports every damage of the tables."""

from datetime import date, timedelta

import pytest
from common.events.entitlement import Circumstances, LivingTagsTold
from dispatch.verify import check


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("UPDATE plans SET state = 'stopped', act_on = NULL", "entitled to visits, but the plan is not active"),
        ("UPDATE plans SET state = 'stopped', act_on = NULL", "open although the person has died"),
        ("DELETE FROM plans", "needs visits, or a check after a suspicion, but has no plan"),
        ("DELETE FROM plans", "open without a plan"),
        ("DELETE FROM tasks", "no visit has been planned"),
        ("UPDATE plans SET division = '530303'", "the plan and the entitlement differ in place or tier"),
        ("UPDATE plans SET act_on = act_on - 30", "the step of its plan was due on"),
        ("UPDATE plans SET opened_until = opened_until - 30, act_on = NULL", "no window is open"),
        ("UPDATE tasks SET window_from = window_from - 60, window_to = window_to - 60", "its window has passed"),
        ("UPDATE tasks SET window_from = window_from - 1 WHERE reason = 'plan'", "two open routine visits overlap"),
        ("UPDATE providers SET open_tasks = open_tasks + 1", "its stored number of open tasks is wrong"),
        ("DELETE FROM feed", "there is no message to the provider"),
        ("UPDATE tasks SET provider = '{b}'", "there is no message to the provider"),
        ("UPDATE feed SET provider = '{b}'", "a message for another provider"),
        (
            """UPDATE outbox SET payload = decode(replace(encode(payload, 'hex'),
                 encode('dispatch.provider.{a}', 'hex'), encode('dispatch.provider.{b}', 'hex')), 'hex')""",
            "is for another provider",
        ),
    ],
)
async def test_every_kind_of_damage_is_reported(driver, database, add_provider, story, damage, text):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(story.visiting())
    assert await check(database, story.TODAY) == []
    await database.pool.execute(damage.format(a=story.A, b=story.B))
    assert any(text in fault for fault in await check(database, story.TODAY))


async def test_old_tags_without_a_visit_are_reported(driver, database, story):
    tags = Circumstances(living_tags=(LivingTagsTold(verified_on=date(2025, 1, 1)),))
    await driver.deliver(story.visiting(reverify_months=12, circumstances=tags))
    await database.pool.execute("UPDATE plans SET started_on = '2026-01-01'")
    assert any("no visit was planned to verify them" in fault for fault in await check(database, story.TODAY))


async def test_a_step_that_is_due_today_is_no_fault(driver, database, story):
    await driver.deliver(story.visiting())
    assert await check(database, story.TODAY + timedelta(days=7)) == []
    assert await check(database, story.TODAY + timedelta(days=9)) != []


async def test_a_second_plan_of_a_person_is_checked_too(driver, database, story, monkeypatch):
    await driver.deliver(story.visiting())
    columns = """state, epoch, division, tier, interval_days, entitlement_id, started_on, last_from, opened_until,
                 act_on, part, correlation_id"""
    await database.pool.execute(
        f"INSERT INTO plans (person_id, item, {columns}) SELECT person_id, 'z_visits', {columns} FROM plans"
    )
    await database.pool.execute("UPDATE plans SET state = 'stopped', act_on = NULL WHERE item = 'z_visits'")
    monkeypatch.setattr("dispatch.verify.PAGE", 1)  # the person's plans are on two pages
    faults = await check(database, story.TODAY)
    assert any("entitled to visits, but the plan is not active" in fault for fault in faults)
