from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from common.calendar import SHANGHAI
from common.events import (
    EntitlementsDecided,
    TaskOffered,
    TaskWithdrawn,
    VisitCancelled,
    VisitOffered,
    VisitPlanned,
)
from common.events.entitlement import Circumstances, HospitalStayTold, IncidentTold
from dispatch.plan_visits import open_due_windows
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks


async def test_a_person_newly_entitled_is_offered_to_the_provider_of_the_area(driver, add_provider, tasks, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(), times=3)
    first, following = await tasks()
    assert (first["state"], first["reason"], first["provider"]) == ("offered", "first", story.A)
    assert (first["window_from"], first["window_to"]) == (story.TODAY, date(2026, 11, 29))
    assert (following["reason"], following["window_from"]) == ("plan", date(2026, 11, 29))
    emitted = await driver.emitted_messages()
    assert [type(m.data) for m in emitted].count(VisitPlanned) == 2
    offers = [m for m in emitted if type(m.data) is TaskOffered]
    assert {m.record.topic for m in offers} == {f"dispatch.provider.{story.A}"}
    assert len(offers) == len([m for m in emitted if type(m.data) is VisitOffered]) == 2
    assert len({m.correlation_id for m in emitted}) == 1


async def test_a_person_without_visits_costs_one_narrow_row(driver, database, story):
    await driver.deliver(story.visiting(granted=False))
    assert await driver.emitted() == []
    assert await database.pool.fetchval("SELECT count(*) FROM plans") == 0
    assert await database.pool.fetchval("SELECT digest FROM heads") == 0


async def test_a_decision_that_changes_nothing_for_visits_writes_nothing(driver, database, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(version=1))
    before = await database.pool.fetch("SELECT xmin::text, task_id FROM tasks ORDER BY task_id")
    await driver.clear_outbox()
    await driver.deliver(story.visiting(version=2))
    assert await driver.emitted() == []
    assert await database.pool.fetch("SELECT xmin::text, task_id FROM tasks ORDER BY task_id") == before
    assert await database.pool.fetchval("SELECT version FROM heads") == 2


async def test_an_older_decision_that_comes_late_changes_nothing(driver, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(version=5, granted=False))
    await driver.deliver(story.visiting(version=4))
    assert await tasks() == []
    assert await driver.emitted() == []


async def test_the_nearest_provider_is_asked_then_the_least_loaded(driver, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.TOWN)
    await add_provider(story.C, story.TOWN)
    await driver.deliver(*[story.visiting(f"p{n}", interval_days=31) for n in range(4)])
    asked = [t["provider"] for t in await tasks(state="offered")]
    assert sorted(asked) == sorted([story.B, story.B, story.C, story.C])


async def test_a_death_cancels_everything_open_at_once_also_a_visit_under_way(
    driver, database, tasks, add_provider, client, auth, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    task_id = (await tasks())[0]["task_id"]
    headers = auth("provider", provider=story.A)
    for step in ("accept", "check-in"):
        assert (await client.post(f"/v1/tasks/{task_id}/{step}", headers=headers)).status_code == 200
    await driver.clear_outbox()
    await driver.deliver(story.visiting(version=2, to=story.TODAY, died_on=date(2026, 11, 21)), times=2)
    assert {t["state"] for t in await tasks()} == {"cancelled"}
    cancelled = await driver.emitted(VisitCancelled)
    assert [c.reason for c in cancelled] == ["died", "died"]
    assert {w.task_id for w in await driver.emitted(TaskWithdrawn)} == {c.task_id for c in cancelled}
    refused = await client.post(f"/v1/tasks/{task_id}/check-out", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "task_is_cancelled")
    assert await check(database, story.TODAY) == []


async def test_a_revoked_death_begins_again_with_a_first_visit(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, died_on=date(2026, 11, 21)))
    await driver.deliver(story.visiting(version=3))
    assert [(t["reason"], t["state"]) for t in await tasks() if t["state"] != "cancelled"] == [
        ("first", "offered"),
        ("plan", "offered"),
    ]
    assert await check(database, story.TODAY) == []


async def test_a_suspected_death_leaves_one_check_on_the_same_day(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, death_suspected_on=date(2026, 11, 21)), times=2)
    [open_] = [t for t in await tasks() if t["state"] == "offered"]
    assert (open_["reason"], open_["window_to"]) == ("suspicion", story.TODAY + timedelta(days=1))
    assert {c.reason for c in await driver.emitted(VisitCancelled)} == {"suspicion"}
    await driver.deliver(story.visiting(version=3, tier="B", death_suspected_on=date(2026, 11, 21)))
    assert len(await tasks(state="offered")) == 1
    await driver.deliver(story.visiting(version=4))
    assert sorted(t["reason"] for t in await tasks(state="offered")) == ["first", "plan"]
    assert await check(database, story.TODAY) == []


async def test_a_move_goes_from_the_old_provider_to_the_new_one(driver, database, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(story.visiting())
    await driver.clear_outbox()
    await driver.deliver(story.visiting(version=2, division="530303002"), times=2)
    assert {t["provider"] for t in await tasks(state="offered")} == {story.B}
    assert {c.reason for c in await driver.emitted(VisitCancelled)} == {"moved"}
    assert {w.provider for w in await driver.emitted(TaskWithdrawn)} == {story.A}
    assert {t["reason"] for t in await tasks(state="offered")} == {"first", "plan"}  # still to be visited first
    assert await check(database, story.TODAY) == []


async def test_another_tier_changes_the_windows_after_a_visit_already_made(
    driver, database, tasks, add_provider, client, auth, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    task_id = (await tasks())[0]["task_id"]
    for step in ("accept", "check-in", "check-out"):
        await client.post(f"/v1/tasks/{task_id}/{step}", headers=auth("provider", provider=story.A))
    await driver.deliver(story.visiting(version=2, tier="C", interval_days=31))
    [open_] = [t for t in await tasks() if t["state"] in ("planned", "offered")]
    assert (open_["tier"], open_["window_from"]) == ("C", date(2026, 12, 1))
    assert await check(database, story.TODAY) == []


async def test_a_visit_of_a_monthly_tier_does_not_replace_the_weekly_visits_of_a_new_tier(
    driver, database, tasks, add_provider, client, auth, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(tier="C", interval_days=31))
    today(date(2026, 12, 1))
    while await open_due_windows(database) + await watch_tasks(database):
        pass
    [month] = [t for t in await tasks() if t["reason"] == "plan" and t["window_from"] == date(2026, 12, 1)]
    for step in ("accept", "check-in", "check-out"):
        answer = await client.post(f"/v1/tasks/{month['task_id']}/{step}", headers=auth("provider", provider=story.A))
        assert answer.status_code == 200
    today(date(2026, 12, 3))
    await driver.deliver(story.visiting(version=2, tier="A", interval_days=7))
    open_ = [t["window_from"] for t in await tasks() if t["reason"] == "plan" and t["state"] in ("planned", "offered")]
    assert min(open_) == date(2026, 12, 8)
    assert await check(database, date(2026, 12, 3)) == []


async def test_an_entitlement_that_ends_cancels_the_visits_after_its_end(driver, database, tasks, today, story):
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, to=date(2026, 11, 25)))
    assert [(t["window_from"], t["state"]) for t in await tasks()] == [
        (story.TODAY, "planned"),
        (date(2026, 11, 29), "cancelled"),
    ]
    await driver.deliver(story.visiting(version=3))
    assert [(t["window_from"], t["state"]) for t in await tasks(state="planned")] == [
        (story.TODAY, "planned"),
        (date(2026, 11, 29), "planned"),
    ]
    await driver.deliver(story.visiting(version=4, to=date(2026, 11, 25)))
    today(date(2026, 11, 25))
    assert await open_due_windows(database) == 1
    assert {t["state"] for t in await tasks()} == {"cancelled"}
    assert await check(database, date(2026, 11, 25)) == []


async def test_an_entitlement_of_the_future_is_planned_when_its_day_comes_even_if_noticed_late(
    driver, database, tasks, today, story
):
    await driver.deliver(story.visiting(from_=date(2026, 12, 1)))
    assert await open_due_windows(database) == 0
    assert await tasks() == []
    today(date(2026, 12, 2))  # a day without the service
    assert await open_due_windows(database) == 1
    assert (await tasks())[0]["window_from"] == date(2026, 12, 1)


async def test_the_next_window_opens_as_time_passes_and_only_the_next(driver, database, tasks, today, story):
    await driver.deliver(story.visiting())
    for day, count in ((28, 2), (29, 3), (30, 3)):
        today(date(2026, 11, day))
        while await open_due_windows(database):
            pass
        assert len(await tasks()) == count
    today(date(2027, 1, 20))  # weeks without the service: every window is opened and missed, none is lost
    while await open_due_windows(database):
        pass
    while await watch_tasks(database):
        pass
    routine = [t for t in await tasks() if t["reason"] in ("first", "plan")]
    assert all(a["window_to"] == b["window_from"] for a, b in pairwise(routine))
    assert {t["state"] for t in routine if t["window_to"] <= date(2027, 1, 20)} == {"missed"}
    assert await check(database, date(2027, 1, 20)) == []


async def test_a_corrected_beginning_keeps_the_tasks_and_renames_their_entitlement(driver, tasks, story):
    await driver.deliver(story.visiting())
    before = [t["task_id"] for t in await tasks()]
    later = story.visiting(version=2, from_=date(2026, 3, 1))
    await driver.deliver(later)
    assert [t["task_id"] for t in await tasks()] == before
    assert {t["entitlement_id"] for t in await tasks()} == {later.entitlements[0].entitlement_id}


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_delivery_everything(
    driver, database, tasks, add_provider, monkeypatch, story
):
    await add_provider(story.A, story.COUNTY)

    def crash(point):
        if point == "before_commit":
            raise ConnectionError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr("shell.store.database.crash_point", crash)
        with pytest.raises(ConnectionError):
            await driver.deliver(story.visiting())
    assert await tasks() == []
    assert await driver.emitted() == []
    assert await database.pool.fetchval("SELECT feed_seq FROM providers") == 0
    await driver.deliver(story.visiting())
    assert len(await tasks()) == 2
    assert await database.pool.fetchval("SELECT feed_seq FROM providers") == 2


async def test_a_merged_person_is_no_longer_visited_under_the_old_id(driver, tasks, story):
    await driver.deliver(story.visiting())
    merged = story.visiting(version=2, granted=False, merged_into=story.ident("p2"))
    assert isinstance(merged, EntitlementsDecided)
    await driver.deliver(merged)
    assert {(t["state"], t["cause"]) for t in await tasks()} == {("cancelled", "superseded")}


def in_hospital(since: date, until: date | None = None, event_id: str = "stay") -> Circumstances:
    return Circumstances(in_hospital=(HospitalStayTold(event_id=event_id, from_=since, to=until),))


async def test_an_incident_brings_one_more_visit_at_once_and_leaves_the_routine_alone(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    fell = Circumstances(incidents=(IncidentTold(event_id="fall", on=date(2026, 11, 21)),))
    await driver.deliver(story.visiting(version=2, circumstances=fell), times=2)
    offered = await tasks(state="offered")
    assert sorted(t["reason"] for t in offered) == ["first", "incident", "plan"]
    (extra,) = [t for t in offered if t["reason"] == "incident"]
    assert (extra["window_from"], extra["window_to"]) == (story.TODAY, story.TODAY + timedelta(days=2))
    assert extra["accept_by"] < datetime(2026, 11, 22, 12, 30, tzinfo=SHANGHAI)  # two hours, not a day
    await driver.deliver(story.visiting(version=3, tier="B", interval_days=15, circumstances=fell))
    assert [t["reason"] for t in await tasks(state="offered")].count("incident") == 1
    today(story.TODAY + timedelta(days=8))
    await watch_tasks(database)
    await open_due_windows(database)
    assert len([t for t in await tasks() if t["reason"] == "incident"]) == 1
    assert await check(database, story.TODAY + timedelta(days=8)) == []


async def test_an_incident_of_long_ago_leads_to_no_visit(driver, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    long_ago = Circumstances(incidents=(IncidentTold(event_id="fall", on=date(2026, 10, 1)),))
    await driver.deliver(story.visiting(circumstances=long_ago))
    assert "incident" not in {t["reason"] for t in await tasks()}


async def test_a_stay_pauses_the_visits_and_the_discharge_starts_them_with_a_visit(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, circumstances=in_hospital(date(2026, 11, 20))), times=2)
    assert {t["state"] for t in await tasks()} == {"cancelled"}
    assert {c.reason for c in await driver.emitted(VisitCancelled)} == {"in_hospital"}
    assert await check(database, story.TODAY) == []
    day = story.TODAY + timedelta(days=5)
    today(day)
    await driver.deliver(story.visiting(version=3, circumstances=in_hospital(date(2026, 11, 20), day)), times=2)
    offered = sorted((t["window_from"], t["reason"]) for t in await tasks(state="offered"))
    assert offered == [(day, "discharge"), (day + timedelta(days=3), "plan")]
    assert await check(database, day) == []


async def test_a_discharge_known_in_advance_starts_the_visits_on_its_day(
    driver, database, tasks, add_provider, today, story
):
    await add_provider(story.A, story.COUNTY)
    home = story.TODAY + timedelta(days=4)
    await driver.deliver(story.visiting(circumstances=in_hospital(story.TODAY, home)))
    assert await tasks() == []
    today(home)
    await open_due_windows(database)
    assert (await tasks(state="offered"))[0]["reason"] == "discharge"


async def test_a_stay_that_ended_before_it_was_known_leads_to_one_extra_visit(driver, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    over = in_hospital(date(2026, 11, 15), date(2026, 11, 19))
    await driver.deliver(story.visiting(version=2, circumstances=over), times=2)
    assert sorted(t["reason"] for t in await tasks(state="offered")) == ["discharge", "first", "plan"]


async def test_a_stay_that_was_never_true_lets_the_visits_go_on(driver, tasks, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting(circumstances=in_hospital(date(2026, 11, 20))))
    assert await tasks() == []
    await driver.deliver(story.visiting(version=2))
    assert len(await tasks(state="offered")) == 2
