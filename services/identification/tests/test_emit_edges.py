"""Starts and ends by the calendar alone are emitted on their day, exactly once."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from common import calendar
from common.events import EntitlementEnded, EntitlementStarted
from identification.deciding.emit_edges import emit_edges
from shell import clock
from shell.testing import Driver


async def emitted(driver: Driver) -> list[tuple[str, str, date]]:
    """(Started | Ended, item, on), oldest first; the outbox is empty afterwards."""
    found = await driver.emitted(EntitlementStarted, EntitlementEnded)
    await driver.clear_outbox()
    return [(type(e).__name__.removeprefix("Entitlement"), e.item, e.on) for e in found]


async def run(driver: Driver) -> list[tuple[str, str, date]]:
    """Run the job until it has no work."""
    while await emit_edges(driver.database):
        pass
    return await emitted(driver)


async def turning_80_tomorrow(driver: Driver, elder: Any) -> Any:
    person = elder(born=date(1946, 11, 21))
    await driver.deliver(person.facts())
    await emitted(driver)
    return person


def midnight(day: date) -> None:
    clock.set_now(calendar.start_of_day(day))


STARTED = ("Started", "longevity_allowance", date(2026, 11, 21))


async def test_the_eightieth_birthday_starts_the_allowance_at_midnight_without_any_new_fact(
    driver: Driver, elder: Any
) -> None:
    await turning_80_tomorrow(driver, elder)
    clock.set_now(datetime(2026, 11, 20, 15, 58, tzinfo=UTC))  # two minutes to midnight in Shanghai
    assert await run(driver) == []
    midnight(date(2026, 11, 21))
    assert await run(driver) == [STARTED]
    assert await run(driver) == []


async def test_after_three_days_of_downtime_the_birthday_is_emitted_once_with_its_own_day(
    driver: Driver, elder: Any
) -> None:
    await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 24))
    assert await run(driver) == [STARTED]
    assert await run(driver) == []


async def test_missed_days_are_emitted_one_after_the_other_for_all_people(driver: Driver, elder: Any) -> None:
    days = [date(2026, 11, 23), date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 21)]
    await driver.deliver(*(elder(born=day.replace(year=1946)).facts() for day in days))
    await emitted(driver)
    midnight(date(2026, 11, 24))
    assert [on for _, _, on in await run(driver)] == sorted(days)


async def test_a_day_too_large_for_one_step_continues_in_the_next(driver: Driver, elder: Any) -> None:
    await driver.deliver(*(elder(born=date(1946, 11, 21)).facts() for _ in range(5)))
    await emitted(driver)
    midnight(date(2026, 11, 21))
    assert await emit_edges(driver.database, 3) == 3
    assert await emit_edges(driver.database, 3) == 2
    assert await emit_edges(driver.database, 3) == 0
    assert await emitted(driver) == [STARTED] * 5


async def test_an_edge_names_the_fact_that_it_follows_from(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 21))
    await emit_edges(driver.database)
    (message,) = await driver.emitted_messages()
    assert message.correlation_id == person.born


async def test_the_job_remembers_the_day_it_has_reached(driver: Driver, elder: Any) -> None:
    await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 22))
    await run(driver)
    mark = await driver.database.pool.fetchval("SELECT mark FROM job_marks WHERE job = 'daily_edge'")
    assert mark == "2026-11-22"


async def test_a_death_before_the_birthday_emits_no_start(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    person.say("death", date(2026, 11, 19), evidence="register_cancelled")
    await driver.deliver(person.facts())
    await emitted(driver)
    midnight(date(2026, 11, 22))
    assert await run(driver) == []


async def test_a_fact_that_arrives_before_the_edge_is_emitted_does_not_lose_the_edge(
    driver: Driver, elder: Any
) -> None:
    person = await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 23))  # the job has not run since the 20th
    person.say("living_situation", date(2026, 11, 22), tags=("alone",))
    await driver.deliver(person.facts())
    assert await emitted(driver) == [STARTED, ("Started", "visiting_care", date(2026, 11, 22))]
    assert await run(driver) == []


async def test_an_end_known_in_advance_is_emitted_on_its_day(driver: Driver, elder: Any) -> None:
    person = elder()
    person.say("living_situation", date(2026, 11, 1), date(2026, 11, 25), tags=("alone",))
    await driver.deliver(person.facts())
    await emitted(driver)
    midnight(date(2026, 11, 30))
    assert await run(driver) == [("Ended", "visiting_care", date(2026, 11, 25))]


async def test_a_start_today_is_emitted_with_the_decision_and_not_again(driver: Driver, elder: Any) -> None:
    person = elder(born=date(1946, 11, 20))
    await driver.deliver(person.facts())
    assert ("Started", "longevity_allowance", date(2026, 11, 20)) in await emitted(driver)
    assert await run(driver) == []


async def test_a_correction_of_the_past_emits_no_edge(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await emitted(driver)
    person.say("living_situation", date(2025, 1, 1), date(2025, 7, 1), tags=("alone",))
    await driver.deliver(person.facts())
    assert await emitted(driver) == []


async def test_a_change_of_tier_is_an_end_and_a_start(driver: Driver, elder: Any) -> None:
    person = elder(born=date(1946, 11, 22))
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    await emitted(driver)
    midnight(date(2026, 11, 22))
    day = date(2026, 11, 22)
    assert sorted(await run(driver)) == [
        ("Ended", "visiting_care", day),
        ("Started", "longevity_allowance", day),
        ("Started", "visiting_care", day),
    ]


async def test_a_birthday_during_a_suspicion_is_emitted_when_the_suspicion_is_cleared(
    driver: Driver, elder: Any
) -> None:
    person = await turning_80_tomorrow(driver, elder)
    person.say("death", date(2026, 11, 20), evidence="reported")
    await driver.deliver(person.facts())
    assert await emitted(driver) == []
    midnight(date(2026, 11, 23))
    assert await run(driver) == []
    person.say("alive", date(2026, 11, 22), method="visit")
    await driver.deliver(person.facts())
    assert await emitted(driver) == [STARTED]
    clock.advance(timedelta(days=1))
    assert await run(driver) == []
