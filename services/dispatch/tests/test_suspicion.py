"""Each suspected death sends a visitor to the person on the same day, with or without a visiting entitlement."""

from datetime import date, timedelta

import pytest
from common.codes.divisions import NATION
from common.events import Entitlement, VisitCancelled, VisitPlanned, VisitUnplaced
from common.events.entitlement import Circumstances, HospitalStayTold
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks

REPORTED_ON = date(2026, 11, 20)


def suspected(story, version=1, *, granted=False, **fields):
    """A decision that suspects a death; without `granted` the person has no visiting entitlement."""
    fields.setdefault("residence", story.TOWN)
    fields.setdefault("death_suspected_on", REPORTED_ON)
    return story.visiting(version=version, granted=granted, **fields)


def cleared(story, version, **fields):
    return suspected(story, version, death_suspected_on=None, **fields)


def allowance(story):
    return Entitlement(
        entitlement_id=story.ident("cash"),
        item="longevity_allowance",
        jurisdiction="530303",
        kind="cash",
        state="suspended",
        from_=date(2026, 1, 1),
    )


async def until_quiet(database):
    while await open_due_windows(database) + await watch_tasks(database):
        pass


async def live(tasks):
    return [t for t in await tasks() if t["act_at"] is not None]


async def test_a_person_without_a_visiting_entitlement_is_checked_on_the_same_day(
    driver, database, tasks, add_provider, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story), times=3)
    [task] = await tasks()
    assert (task["reason"], task["item"], task["state"]) == ("suspicion", "visiting_care", "offered")
    assert (task["division"], task["provider"], task["tier"]) == (story.TOWN, story.A, None)
    assert (task["window_from"], task["window_to"]) == (story.TODAY, story.TODAY + timedelta(days=1))
    assert await check(database, story.TODAY) == []


async def test_another_suspicion_on_the_day_of_a_check_is_checked_again(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    await database.pool.execute(
        """UPDATE tasks SET state = 'completed', act_at = NULL, outcome = 'seen', checked_in_at = '2026-11-22 01:30+00',
             checked_out_at = '2026-11-22 01:40+00'"""
    )
    await database.pool.execute("UPDATE providers SET open_tasks = 0")
    await driver.deliver(suspected(story, 2, residence=story.OTHER_COUNTY))  # the same suspicion
    assert await live(tasks) == []
    await driver.deliver(cleared(story, 3))
    await driver.deliver(suspected(story, 4, death_suspected_on=story.TODAY), times=2)
    assert [t["reason"] for t in await live(tasks)] == ["suspicion"]
    assert await check(database, story.TODAY) == []


async def test_a_suspicion_is_checked_once_also_if_other_decisions_follow(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    [task] = await tasks()
    for step in ("accept", "check-in", "check-out"):
        url = f"/v1/tasks/{task['task_id']}/{step}"
        assert (await client.post(url, headers=auth("provider", provider=story.A))).status_code == 200
    await driver.deliver(suspected(story, 2, more=(allowance(story),)))
    today(story.TODAY + timedelta(days=1))
    await driver.deliver(suspected(story, 3))
    await until_quiet(database)
    assert [t["state"] for t in await tasks()] == ["completed"]
    assert await check(database, story.TODAY + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("after", "reason"), [({"death_suspected_on": None}, "resolved"), ({"died_on": REPORTED_ON}, "died")]
)
@pytest.mark.parametrize("granted", [False, True])
async def test_the_check_ends_when_the_suspicion_ends(
    driver, database, tasks, add_provider, story, granted, after, reason
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story, granted=granted))
    [task] = await live(tasks)
    await driver.clear_outbox()
    after = {"death_suspected_on": None, **after}
    await driver.deliver(suspected(story, 2, granted=granted and reason != "died", **after), times=2)
    [ended] = [t for t in await tasks() if t["task_id"] == task["task_id"]]
    assert (ended["state"], ended["cause"]) == ("cancelled", reason)
    assert [(c.task_id, c.reason) for c in await driver.emitted(VisitCancelled)] == [(task["task_id"], reason)]
    assert bool(await live(tasks)) == (granted and reason != "died")  # the routine goes on
    assert await check(database, story.TODAY) == []


async def test_a_second_suspicion_is_checked_again(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    await driver.deliver(cleared(story, 2))
    await driver.deliver(suspected(story, 3, death_suspected_on=date(2026, 11, 21)), times=2)
    assert sorted((t["reason"], t["state"]) for t in await tasks()) == [
        ("suspicion", "cancelled"),
        ("suspicion", "offered"),
    ]
    assert await check(database, story.TODAY) == []


@pytest.mark.parametrize(
    ("places", "where"),
    [
        ({"residence": "530302001", "hukou": "530303002"}, "530302001"),
        ({"residence": None, "hukou": "530303002"}, "530303002"),
        ({"residence": None, "more": "allowance"}, "530303"),
        ({"residence": None}, NATION),
    ],
)
async def test_the_check_goes_to_the_residence_else_the_hukou_else_the_paying_area(
    driver, database, tasks, story, places, where
):
    if "more" in places:
        places = {**places, "more": (allowance(story),)}
    await driver.deliver(suspected(story, **places))
    [task] = await tasks()
    assert (task["division"], task["cause"]) == (where, "no_provider")
    assert await check(database, story.TODAY) == []


async def test_the_check_follows_the_person_to_a_place_learnt_later(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story, residence=None))
    await driver.deliver(suspected(story, 2), times=2)
    assert [(t["division"], t["state"], t["cause"]) for t in sorted(await tasks(), key=lambda t: t["division"])] == [
        (NATION, "cancelled", "moved"),
        (story.TOWN, "offered", None),
    ]
    assert await check(database, story.TODAY) == []


async def test_a_check_already_made_is_not_made_again_at_another_place(
    driver, tasks, add_provider, client, auth, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    [task] = await tasks()
    for step in ("accept", "check-in", "check-out"):
        await client.post(f"/v1/tasks/{task['task_id']}/{step}", headers=auth("provider", provider=story.A))
    await driver.deliver(suspected(story, 2, residence="530303002"))
    assert [t["state"] for t in await tasks()] == ["completed"]


async def test_a_check_that_found_nobody_is_repeated_at_a_place_learnt_later(
    driver, tasks, add_provider, client, auth, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    [task] = await tasks()
    for step, body in (("accept", {}), ("check-in", {}), ("check-out", {"outcome": "not_found"})):
        url = f"/v1/tasks/{task['task_id']}/{step}"
        await client.post(url, headers=auth("provider", provider=story.A), json=body)
    await driver.deliver(suspected(story, 2, residence="530303002"))
    assert sorted((t["division"], t["state"]) for t in await tasks()) == [
        ("530302001", "completed"),
        ("530303002", "planned"),
    ]


async def test_a_person_in_hospital_is_checked_too(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    stay = Circumstances(in_hospital=(HospitalStayTold(event_id="stay", from_=date(2026, 11, 1)),))
    await driver.deliver(story.visiting(circumstances=stay, residence=story.TOWN))
    await driver.deliver(suspected(story, 2, granted=True, circumstances=stay), times=2)
    assert [t["reason"] for t in await live(tasks)] == ["suspicion"]
    assert await check(database, story.TODAY) == []


@pytest.mark.parametrize("span", [{"from_": date(2027, 1, 1)}, {"to": date(2026, 11, 1)}])
async def test_a_person_whose_visits_wait_or_have_ended_is_checked_too(
    driver, database, tasks, add_provider, story, span
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(residence=story.TOWN, **span))
    await driver.deliver(suspected(story, 2, granted=True, **span), times=2)
    assert [t["reason"] for t in await live(tasks)] == ["suspicion"]
    assert await check(database, story.TODAY) == []


async def test_an_entitlement_that_ends_during_the_suspicion_leaves_the_check(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story, granted=True, to=story.TODAY + timedelta(days=1)))
    today(story.TODAY + timedelta(days=1))
    await until_quiet(database)
    assert [(t["reason"], t["state"], t["redispatches"]) for t in await live(tasks)] == [("suspicion", "offered", 1)]
    assert await check(database, story.TODAY + timedelta(days=1)) == []


async def test_of_two_numbers_of_one_human_the_survivor_alone_is_checked(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story, person="goes"))
    await driver.deliver(
        suspected(story, person="stays", aliases=(story.ident("goes"),)),
        suspected(story, 2, person="goes", merged_into=story.ident("stays")),
        times=2,
    )
    assert [t["person_id"] for t in await live(tasks)] == [story.ident("stays")]
    assert await check(database, story.TODAY) == []


async def test_a_missed_check_is_repeated_each_day_as_a_check(driver, database, tasks, add_provider, today, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    for day in range(1, 6):
        today(story.TODAY + timedelta(days=day))
        await until_quiet(database)
        assert await check(database, story.TODAY + timedelta(days=day)) == []
    assert [(t["reason"], t["state"], t["redispatches"]) for t in await tasks()] == [
        ("suspicion", "missed", 0),
        ("suspicion", "missed", 1),
        ("suspicion", "missed", 2),
    ]


async def test_a_suspicion_late_in_the_evening_is_checked_today_and_again_tomorrow(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    today(story.TODAY, hour=23)
    await driver.deliver(suspected(story))
    today(story.TODAY + timedelta(days=1), hour=0)
    await until_quiet(database)
    assert [(t["window_from"], t["state"]) for t in await tasks()] == [
        (story.TODAY, "missed"),
        (story.TODAY + timedelta(days=1), "offered"),
    ]


async def test_a_check_without_a_provider_is_reported_at_once_and_offered_when_one_appears(
    driver, database, tasks, client, auth, story
):
    await driver.deliver(suspected(story), times=2)
    [planned], [unplaced] = await driver.emitted(VisitPlanned), await driver.emitted(VisitUnplaced)
    assert (unplaced.task_id, unplaced.cause, unplaced.reason) == (planned.task_id, "no_provider", "suspicion")
    assert unplaced.division == story.TOWN


async def test_a_check_that_every_provider_declines_is_reported(driver, tasks, add_provider, client, auth, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(suspected(story))
    [task] = await tasks()
    headers = auth("provider", provider=story.A)
    assert await driver.emitted(VisitUnplaced) == []
    await client.post(f"/v1/tasks/{task['task_id']}/decline", headers=headers, json={"reason": "no_staff"})
    assert [(u.task_id, u.cause) for u in await driver.emitted(VisitUnplaced)] == [(task["task_id"], "all_declined")]


async def test_a_routine_visit_without_a_provider_is_listed_and_not_reported(driver, tasks, story):
    await driver.deliver(story.visiting())
    assert {t["cause"] for t in await tasks()} >= {"no_provider"}
    assert await driver.emitted(VisitUnplaced) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM tasks",
        "UPDATE tasks SET state = 'cancelled', act_at = NULL, provider = NULL",
        "UPDATE tasks SET window_from = window_from - 30, window_to = window_to - 30, state = 'missed', act_at = NULL",
    ],
)
async def test_a_suspicion_without_its_check_is_a_fault(driver, database, story, damage):
    await driver.deliver(suspected(story))
    assert await check(database, story.TODAY) == []
    await database.pool.execute(damage)
    assert any("a death is suspected and there is no check" in fault for fault in await check(database, story.TODAY))


async def test_a_suspicion_that_reached_no_plan_is_a_fault(driver, database, story):
    await driver.deliver(suspected(story))
    await database.pool.execute("DELETE FROM tasks")
    await database.pool.execute("DELETE FROM plans")
    assert any("but has no plan" in fault for fault in await check(database, story.TODAY))


async def test_incidents_already_answered_are_not_answered_again_after_a_suspicion(
    driver, database, tasks, add_provider, client, auth, story
):
    from common.events.entitlement import IncidentTold

    await add_provider(story.A, story.COUNTY)
    fell = Circumstances(incidents=(IncidentTold(event_id="fall", on=date(2026, 11, 21)),))
    await driver.deliver(story.visiting(circumstances=fell, residence=story.TOWN))
    [extra] = [t for t in await tasks() if t["reason"] == "incident"]
    for step in ("accept", "check-in", "check-out"):
        await client.post(f"/v1/tasks/{extra['task_id']}/{step}", headers=auth("provider", provider=story.A))
    await driver.deliver(suspected(story, 3, granted=True, circumstances=fell))
    await driver.deliver(cleared(story, 4, granted=True, circumstances=fell))
    assert [t["state"] for t in await tasks() if t["reason"] == "incident"] == ["completed"]
