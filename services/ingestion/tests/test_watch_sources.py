"""Alarms about sources: each gap and each silence emits one event, and its end another."""

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from common.calendar import start_of_day
from common.events import SourceGapClosed, SourceGapFound, SourceHeard, SourceSilent
from ingestion.completeness.count_days import count_days
from ingestion.completeness.watch_sources import watch_sources
from ingestion.domain.silence import silent_after
from ingestion.register import sources
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from ingestion.register.store import registry
from shell import clock
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"
DAY = date(2026, 11, 20)


def digest(*ids):
    total = 0
    for id_ in ids:
        total ^= int(hashlib.sha256(id_.encode()).hexdigest(), 16)
    return f"{total:064x}"


@pytest.fixture
async def watch(database):
    async def _watch(at=None):
        if at is not None:
            clock.set_now(at)
        while await count_days(database):
            pass
        while await watch_sources(database):
            pass

    await seed_register(database)
    return _watch


@pytest.fixture
def tell(client_for):
    async def _tell(*ids, day=DAY, count=None):
        body = {"day": str(day), "count": len(ids) if count is None else count, "digest": digest(*ids)}
        async with client_for(issue_token("source", source=PSB)) as psb:
            answer = await psb.post(f"/v1/sources/{PSB}/days", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return _tell


@pytest.fixture
def enter(admin):
    async def _enter(urn=PSB, *, replaces=1, **changes):
        entry = seed()[urn].model_dump(mode="json") | changes
        answer = await admin.put(f"/v1/sources/{urn}", json={"entry": entry, "reason": "x", "replaces": replaces})
        assert answer.status_code == 200, answer.text

    return _enter


async def test_a_gap_emits_one_event_and_its_end_another(push, people, driver, watch, tell, admin):
    await push(people.residence(people.number(1), id="a"))
    assert (await tell("a", "b"))["state"] == "short"
    for _ in range(3):
        await watch()
    (found,) = await driver.emitted(SourceGapFound)
    assert (found.source, found.day, found.gap, found.ours, found.told) == (PSB, DAY, "short", 1, 2)
    (gap,) = (await admin.get("/v1/gaps")).json()["gaps"]
    assert (gap["source"], gap["day"], gap["state"], gap["ours"], gap["told"]) == (PSB, str(DAY), "short", 1, 2)
    assert {s["source"]: s["gaps"] for s in (await admin.get("/v1/sources")).json()["sources"]}[PSB] == 1
    await push(people.residence(people.number(2), id="b"))
    for _ in range(3):
        await watch()
    (closed,) = await driver.emitted(SourceGapClosed)
    assert (closed.source, closed.day, closed.found_at) == (PSB, DAY, found.found_at)
    assert (await admin.get("/v1/gaps")).json()["gaps"] == []
    assert len(await driver.emitted(SourceGapFound)) == 1


async def test_the_gaps_of_a_source_are_shown_to_its_new_area(push, people, watch, tell, driver, client_for):
    """Another process has entered the new area after this process read the register."""
    await push(people.residence(people.number(1), id="a"))
    await tell("a", "b")
    await watch()
    entry = seed()[PSB].model_copy(update={"area": "530302"}).model_dump_json().encode()
    async with driver.transaction() as tx:
        await registry.insert_versions(tx, [registry.NewVersion(PSB, 2, clock.now(), entry, "another", "x")])
    sources.forget()
    async with client_for(issue_token("officer", division="530302", subject="王科员")) as officer:
        gaps = (await officer.get("/v1/gaps")).json()["gaps"]
    assert [gap["source"] for gap in gaps] == [PSB]


async def test_a_day_that_breaks_again_is_another_alarm(push, people, driver, watch, tell):
    await push(people.residence(people.number(1), id="a"))
    await tell("a")
    await watch()
    assert await driver.emitted(SourceGapFound) == []
    await tell("b")
    await watch()
    await tell("a")
    await watch()
    await tell("c")
    await watch(people.NOW + timedelta(minutes=1))
    assert [e.gap for e in await driver.emitted(SourceGapFound)] == ["differs", "differs"]


async def test_a_day_is_not_judged_before_it_is_over_and_its_grace_has_passed(push, people, driver, watch, tell):
    today = date(2026, 11, 22)
    await tell("a", day=today)
    await watch(start_of_day(today + timedelta(days=1)) + timedelta(hours=5, minutes=59))
    assert await driver.emitted(SourceGapFound) == []
    await watch(start_of_day(today + timedelta(days=1)) + timedelta(hours=6))
    assert [e.day for e in await driver.emitted(SourceGapFound)] == [today]


async def test_every_day_of_a_long_outage_is_expected_once(driver, watch, enter, people, tell):
    """The platform was down for 40 days, for which the source reports nothing at first, and later one day."""
    await enter(tells_days=True)
    await watch()
    first = {e.day for e in await driver.emitted(SourceGapFound)}
    assert first == {date(2026, 11, 21)}
    await watch(people.NOW + timedelta(days=40))
    found = [e.day for e in await driver.emitted(SourceGapFound)]
    assert len(found) == len(set(found)) == 41
    assert sorted(found)[-1] == date(2026, 12, 31)
    await tell(day=date(2026, 12, 1))
    await watch()
    assert [e.day for e in await driver.emitted(SourceGapClosed)] == [date(2026, 12, 1)]


async def test_days_are_shown_with_received_and_reported_counts(push, people, watch, tell, client_for):
    await push(people.residence(people.number(1), id="a"), people.residence(people.number(2), id="b"))
    await tell("a", "b")
    await tell("x", day=DAY - timedelta(days=1))
    await watch()
    async with client_for(issue_token("source", source=PSB)) as psb:
        url = f"/v1/sources/{PSB}/days"
        shown = (await psb.get(url, params={"since": "2026-11-01", "until": "2026-11-30"})).json()["days"]
        assert [(d["day"], d["received"], d["told"], d["state"]) for d in shown] == [
            ("2026-11-19", 0, 1, "short"),
            ("2026-11-20", 2, 2, "complete"),
        ]
        for since in ("2026-12-01", "2025-01-01"):
            assert (await psb.get(url, params={"since": since, "until": "2026-11-30"})).status_code == 422


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cadence", "heard", "late"),
    [
        ("daily", datetime(2026, 11, 20, 15, tzinfo=UTC), datetime(2026, 11, 22, 4, tzinfo=UTC)),
        ("working_days", datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 24, 4, tzinfo=UTC)),
        ("working_days", datetime(2026, 9, 30, 1, tzinfo=UTC), datetime(2026, 10, 9, 4, tzinfo=UTC)),
        ("weekly", datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 29, 16, tzinfo=UTC)),
        ("monthly", datetime(2026, 1, 31, 1, tzinfo=UTC), datetime(2026, 3, 5, 16, tzinfo=UTC)),
    ],
)
def test_silence_begins_after_the_next_day_week_or_month_and_a_grace(cadence, heard, late):
    assert silent_after(heard, cadence) == late


async def _step_to(watch, until):
    """Like the job: never a whole hour without a step."""
    while clock.now() < until:
        await watch(min(until, clock.now() + timedelta(minutes=50)))


async def test_a_silence_emits_one_event_and_the_next_arrival_another(push, people, driver, watch, enter, admin):
    await enter(cadence={"residence": "daily"})
    await push(people.residence(people.number(1)))
    await watch()
    late = datetime(2026, 11, 24, 4, tzinfo=UTC)
    clock.set_now(late - timedelta(hours=3))
    await watch()
    await _step_to(watch, late - timedelta(seconds=1))
    assert await driver.emitted(SourceSilent) == []
    await _step_to(watch, late + timedelta(hours=2))
    (told,) = await driver.emitted(SourceSilent)
    assert (told.source, told.kind, told.heard_at.date()) == (PSB, "residence", people.NOW.date())
    shown = (await admin.get(f"/v1/sources/{PSB}")).json()["heard"]["residence"]
    assert shown["silent_since"] is not None
    await push(people.residence(people.number(2)))
    await watch()
    await watch()
    (heard,) = await driver.emitted(SourceHeard)
    assert (heard.kind, heard.silent_since) == ("residence", told.silent_since)
    assert (await admin.get(f"/v1/sources/{PSB}")).json()["heard"]["residence"]["silent_since"] is None


async def test_an_outage_of_the_platform_makes_no_source_silent(push, people, driver, watch, enter):
    await enter(cadence={"residence": "daily"})
    await push(people.residence(people.number(1)))
    await watch()
    again = people.NOW + timedelta(days=9)
    await watch(again)
    await watch(again + timedelta(minutes=59))
    assert await driver.emitted(SourceSilent) == []
    await watch(again + timedelta(minutes=62))
    assert len(await driver.emitted(SourceSilent)) == 1


async def test_a_declared_feed_that_did_not_begin_is_silent_and_an_undeclared_one_is_not(people, driver, watch, enter):
    feed = {"kind": "residence", "division": "530300", "since": "2026-11-01"}
    await enter(cadence={"residence": "daily", "death": "daily"}, feeds=[feed])
    await watch()
    await watch(people.NOW + timedelta(minutes=40))
    await watch(people.NOW + timedelta(minutes=62))
    assert [(e.kind, e.heard_at) for e in await driver.emitted(SourceSilent)] == [
        ("residence", start_of_day(date(2026, 11, 1)))
    ]
    await enter(replaces=2, active=False)
    await watch(people.NOW + timedelta(minutes=63))
    assert await driver.emitted(SourceHeard) == []
