"""A merge of two persons: no double visit, no missing visit, and all visits are found."""

from datetime import UTC, date, datetime, timedelta

import pytest
from dispatch import verify


async def live(tasks):
    return [t for t in await tasks() if t["state"] in ("planned", "offered", "accepted", "in_progress")]


async def is_sound(database, story):
    assert await verify.check(database, story.TODAY) == []


@pytest.mark.parametrize("survivor_first", [True, False])
async def test_after_a_merge_one_plan_continues_and_no_day_has_two_visits(
    driver, tasks, story, add_provider, database, survivor_first
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("stays"), story.visiting("goes"))
    before = [t["task_id"] for t in await live(tasks) if t["person_id"] == story.ident("stays")]
    decisions = [
        story.visiting("stays", version=2, aliases=(story.ident("goes"),)),
        story.visiting("goes", version=2, granted=False, merged_into=story.ident("stays")),
    ]
    for decided in decisions if survivor_first else decisions[::-1]:
        await driver.deliver(decided, times=2)
    assert [t["task_id"] for t in await live(tasks)] == before
    await is_sound(database, story)


@pytest.mark.parametrize("survivor_first", [True, False])
async def test_the_survivor_is_visited_after_the_visit_under_the_other_number(
    driver, tasks, story, add_provider, database, survivor_first
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("goes"))
    first = min(await live(tasks), key=lambda t: t["window_from"])
    await database.pool.execute(
        """UPDATE tasks SET state = 'completed', act_at = NULL, checked_in_at = now(), checked_out_at = now()
           WHERE task_id = $1""",
        first["task_id"],
    )
    await database.pool.execute("UPDATE providers SET open_tasks = open_tasks - 1")
    await database.pool.execute(
        "UPDATE tasks SET checked_in_at = $2, checked_out_at = $2 WHERE task_id = $1",
        first["task_id"],
        datetime(2026, 11, 22, 3, tzinfo=UTC),
    )
    decisions = [
        story.visiting("stays", aliases=(story.ident("goes"),)),
        story.visiting("goes", version=2, granted=False, merged_into=story.ident("stays")),
    ]
    for decided in decisions if survivor_first else decisions[::-1]:
        await driver.deliver(decided)
    open_ = await live(tasks)
    assert {t["person_id"] for t in open_} == {story.ident("stays")}
    assert min(t["window_from"] for t in open_) == first["window_to"]
    await is_sound(database, story)


async def test_a_visit_under_way_is_ended_and_counts_for_the_window(driver, tasks, story, add_provider, database):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("stays"), story.visiting("goes"))
    mine = [t for t in await live(tasks) if t["person_id"] == story.ident("goes")]
    first = min(mine, key=lambda t: t["window_from"])
    await database.pool.execute("UPDATE tasks SET state = 'in_progress' WHERE task_id = $1", first["task_id"])
    await driver.deliver(story.visiting("stays", version=2, aliases=(story.ident("goes"),)))
    await driver.deliver(story.visiting("goes", version=2, granted=False, merged_into=story.ident("stays")))
    open_ = await live(tasks)
    assert [t["task_id"] for t in open_ if t["person_id"] == story.ident("goes")] == [first["task_id"]]
    others = [t["window_from"] for t in open_ if t["person_id"] == story.ident("stays")]
    assert others
    assert min(others) >= first["window_to"]
    await is_sound(database, story)


async def test_split_again_both_are_visited(driver, tasks, story, add_provider, database):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("stays"), story.visiting("goes"))
    await driver.deliver(
        story.visiting("stays", version=2, aliases=(story.ident("goes"),)),
        story.visiting("goes", version=2, granted=False, merged_into=story.ident("stays")),
    )
    await driver.deliver(story.visiting("goes", version=3), story.visiting("stays", version=3))
    assert {t["person_id"] for t in await live(tasks)} == {story.ident("stays"), story.ident("goes")}
    await is_sound(database, story)


@pytest.mark.parametrize("own_decision_first", [True, False])
async def test_a_merge_that_was_withdrawn_at_once_leaves_both_visited_in_any_order(
    driver, tasks, story, add_provider, database, own_decision_first
):
    """Only the newest decision about the other number arrives, and it is the same as before the merge."""
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("stays"), story.visiting("goes"))
    survivor = [
        story.visiting("stays", version=2, aliases=(story.ident("goes"),)),
        story.visiting("stays", version=3),
    ]
    other = story.visiting("goes", version=3)
    for decided in [other, *survivor] if own_decision_first else [survivor[0], other, survivor[1]]:
        await driver.deliver(decided)
    assert {t["person_id"] for t in await live(tasks)} == {story.ident("stays"), story.ident("goes")}
    await is_sound(database, story)


async def test_the_survivors_visits_are_those_of_either_number(driver, story, add_provider, client, auth):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("goes"))
    await driver.deliver(
        story.visiting("stays", granted=False, aliases=(story.ident("goes"),)),
        story.visiting("goes", version=2, granted=False, merged_into=story.ident("stays")),
    )
    found = await client.get(
        "/v1/tasks", params={"person_id": story.ident("stays")}, headers=auth("officer", division="530300")
    )
    assert {t["person_id"] for t in found.json()["tasks"]} == {story.ident("goes")}
    assert date.fromisoformat(found.json()["tasks"][0]["window"]["from"]) - story.TODAY < timedelta(days=9)
