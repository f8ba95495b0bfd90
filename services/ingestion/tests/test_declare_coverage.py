"""The feeds of a division are declared once, and again after each change of the register."""

from datetime import date, timedelta

import pytest
from common.events import CoverageDeclared, FeedDeclared
from ingestion.register import sources
from ingestion.register.declare_coverage import declare_coverage
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from shell import clock

MCA, DPF = "urn:cn:exchange:530300:mca", "urn:cn:exchange:530300:dpf"
CITY, QILIN = "530300", "530302"
POOR = {"kind": "low_income", "division": QILIN, "since": "2026-01-01"}
DISABLED = {"kind": "disability", "division": QILIN, "since": "2026-03-01", "until": "2027-01-01"}


@pytest.fixture
async def enter(database, admin):
    """The next version of a source's entry, as the admin enters it."""
    await seed_register(database)
    versions = {}

    async def _enter(source, *feeds, **more):
        at = versions[source] = versions.get(source, 0) + 1
        entry = seed()[source].model_dump(mode="json") | {"feeds": feeds} | more.pop("changes", {})
        body = {"entry": entry, "reason": "x", "replaces": at, **more}
        answer = await admin.put(f"/v1/sources/{source}", json=body)
        assert answer.status_code == 200, answer.text

    return _enter


@pytest.fixture
def declared(database, driver):
    """The declarations of one run of the job."""

    async def _declared():
        await driver.clear_outbox()
        while await declare_coverage(database, divisions_max=1):
            pass
        return await driver.emitted(CoverageDeclared)

    return _declared


async def test_a_register_without_feeds_declares_nothing(database, declared):
    await seed_register(database)
    assert await declared() == []


async def test_all_feeds_of_a_division_are_declared_together_for_all_sources(enter, declared):
    await enter(MCA, POOR, {"kind": "low_income", "division": "530303", "since": "2026-02-01"})
    await enter(DPF, DISABLED)
    events = {e.division: e for e in await declared()}
    assert {*events} == {QILIN, "530303"}
    assert events[QILIN].feeds == (
        FeedDeclared(kind="disability", since=date(2026, 3, 1), until=date(2027, 1, 1)),
        FeedDeclared(kind="low_income", since=date(2026, 1, 1)),
    )
    assert (events[QILIN].version, events[QILIN].withdrawn) == (1, False)
    assert timedelta() <= clock.now() - events[QILIN].recorded_at < timedelta(minutes=1)
    assert await declared() == []


async def test_two_sources_of_the_same_feed_are_one(enter, declared):
    await enter(MCA, POOR)
    await declared()
    await enter(DPF, POOR, changes={"kinds": {"low_income": 2}, "cadence": {}})
    assert await declared() == []


async def test_the_feeds_of_a_suspended_source_are_no_longer_declared(enter, declared):
    await enter(MCA, POOR)
    await declared()
    await enter(MCA, POOR, changes={"active": False})
    (event,) = await declared()
    assert (event.version, event.feeds, event.withdrawn) == (2, (), False)
    await enter(MCA, changes={"active": False})
    (event,) = await declared()
    assert (event.version, event.withdrawn) == (3, True)


async def test_a_division_that_no_entry_names_any_more_is_withdrawn_and_may_come_back(enter, declared):
    await enter(MCA, POOR)
    await declared()
    await enter(MCA)
    (event,) = await declared()
    assert (event.version, event.feeds, event.withdrawn) == (2, (), True)
    assert await declared() == []
    await enter(MCA, POOR)
    (event,) = await declared()
    assert (event.version, len(event.feeds), event.withdrawn) == (3, 1, False)


async def test_an_entry_that_begins_later_is_declared_on_its_day(enter, declared):
    tomorrow = clock.today() + timedelta(days=1)
    await enter(MCA, POOR, begins_on=tomorrow.isoformat())
    assert await declared() == []
    clock.advance(timedelta(days=1))
    sources.forget()  # the copy of a process is some seconds old
    (event,) = await declared()
    assert event.division == QILIN


async def test_coverage_says_whether_a_feed_of_the_division_or_of_an_area_above_was_ever_declared(enter, admin):
    await enter(MCA, {**POOR, "division": CITY})

    async def declared(division):
        answer = await admin.get("/v1/coverage", params={"division": division, "on": "2020-01-01"})
        return answer.json()["declared"]

    assert [await declared(d) for d in (CITY, QILIN, "530000", "140702")] == [True, True, False, False]
