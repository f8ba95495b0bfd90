"""What `check` finds when somebody has put a hand into the tables."""

from datetime import date, timedelta

import pytest
from common.events.entitlement import Circumstances, LivingTagsTold
from dispatch.verify import check


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE plans SET state = 'stopped', act_on = NULL", "entitled to visits, but the plan is not active"),
        ("UPDATE plans SET state = 'stopped', act_on = NULL", "open although the person has died"),
        ("DELETE FROM plans", "is to be visited, or checked after a suspicion, but has no plan"),
        ("DELETE FROM plans", "open without a plan"),
        ("DELETE FROM tasks", "no visit has been planned"),
        ("UPDATE plans SET division = '530303'", "follows another place or tier"),
        ("UPDATE plans SET act_on = act_on - 30", "should have been looked at"),
        ("UPDATE plans SET opened_until = opened_until - 30, act_on = NULL", "no window stands open"),
        ("UPDATE tasks SET window_from = window_from - 60, window_to = window_to - 60", "its window has passed"),
        ("UPDATE tasks SET window_from = window_from - 1 WHERE reason = 'plan'", "two open routine visits overlap"),
        ("UPDATE providers SET open_tasks = open_tasks + 1", "has not so many tasks in hand"),
        ("DELETE FROM feed", "the provider was never told"),
        ("UPDATE tasks SET provider = '{b}'", "the provider was never told"),
        ("UPDATE feed SET provider = '{b}'", "meant for another"),
        (
            """UPDATE outbox SET payload = decode(replace(encode(payload, 'hex'),
                 encode('dispatch.provider.{a}', 'hex'), encode('dispatch.provider.{b}', 'hex')), 'hex')""",
            "not that provider",
        ),
    ],
)
async def test_every_kind_of_damage_is_named(driver, database, add_provider, story, damage, words):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(story.visiting())
    assert await check(database, story.TODAY) == []
    await database.pool.execute(damage.format(a=story.A, b=story.B))
    assert any(words in fault for fault in await check(database, story.TODAY))


async def test_old_tags_that_nobody_was_sent_for_are_named(driver, database, story):
    tags = Circumstances(living_tags=(LivingTagsTold(verified_on=date(2025, 1, 1)),))
    await driver.deliver(story.visiting(reverify_months=12, circumstances=tags))
    await database.pool.execute("UPDATE plans SET started_on = '2026-01-01'")
    assert any("nobody was sent to see" in fault for fault in await check(database, story.TODAY))


async def test_what_the_clock_does_today_is_no_fault_yet(driver, database, story):
    await driver.deliver(story.visiting())
    assert await check(database, story.TODAY + timedelta(days=7)) == []
    assert await check(database, story.TODAY + timedelta(days=9)) != []
