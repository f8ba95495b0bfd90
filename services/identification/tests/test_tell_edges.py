"""What begins and ends by the calendar alone is told on its day, once, whatever happened in between."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from common import calendar
from common.events import EntitlementEnded, EntitlementStarted
from identification.deciding.tell_edges import tell_edges
from shell import clock
from shell.testing import Driver


async def told(driver: Driver) -> list[tuple[str, str, date]]:
    """(Started | Ended, item, on), oldest first; the outbox is empty afterwards."""
    found = await driver.emitted(EntitlementStarted, EntitlementEnded)
    await driver.clear_outbox()
    return [(type(e).__name__.removeprefix("Entitlement"), e.item, e.on) for e in found]


async def run(driver: Driver) -> list[tuple[str, str, date]]:
    """The job until it has nothing to do."""
    while await tell_edges(driver.database):
        pass
    return await told(driver)


async def turning_80_tomorrow(driver: Driver, elder: Any) -> Any:
    person = elder(born=date(1946, 11, 21))
    await driver.deliver(person.facts())
    await told(driver)
    return person


def midnight(day: date) -> None:
    clock.set_now(calendar.start_of_day(day))


STARTED = ("Started", "longevity_allowance", date(2026, 11, 21))


async def test_the_eightieth_birthday_begins_at_midnight_without_any_news(driver: Driver, elder: Any) -> None:
    await turning_80_tomorrow(driver, elder)
    clock.set_now(datetime(2026, 11, 20, 15, 58, tzinfo=UTC))  # two minutes to midnight in Shanghai
    assert await run(driver) == []
    midnight(date(2026, 11, 21))
    assert await run(driver) == [STARTED]
    assert await run(driver) == []


async def test_after_three_days_down_the_birthday_is_told_once_with_its_own_day(driver: Driver, elder: Any) -> None:
    await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 24))
    assert await run(driver) == [STARTED]
    assert await run(driver) == []


async def test_missed_days_are_told_day_after_day_over_all_people(driver: Driver, elder: Any) -> None:
    days = [date(2026, 11, 23), date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 21)]
    await driver.deliver(*(elder(born=day.replace(year=1946)).facts() for day in days))
    await told(driver)
    midnight(date(2026, 11, 24))
    assert [on for _, _, on in await run(driver)] == sorted(days)


async def test_a_day_too_large_for_one_step_goes_on_where_it_stopped(driver: Driver, elder: Any) -> None:
    await driver.deliver(*(elder(born=date(1946, 11, 21)).facts() for _ in range(5)))
    await told(driver)
    midnight(date(2026, 11, 21))
    assert await tell_edges(driver.database, 3) == 3
    assert await tell_edges(driver.database, 3) == 2
    assert await tell_edges(driver.database, 3) == 0
    assert await told(driver) == [STARTED] * 5


async def test_an_edge_is_traced_to_the_statement_it_follows_from(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 21))
    await tell_edges(driver.database)
    (message,) = await driver.emitted_messages()
    assert message.correlation_id == person.born


async def test_the_job_remembers_the_day_it_has_reached(driver: Driver, elder: Any) -> None:
    await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 22))
    await run(driver)
    mark = await driver.database.pool.fetchval("SELECT mark FROM job_marks WHERE job = 'daily_edge'")
    assert mark == "2026-11-22"


async def test_somebody_who_died_before_the_birthday_is_not_told_of_it(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    person.say("death", date(2026, 11, 19), evidence="register_cancelled")
    await driver.deliver(person.facts())
    await told(driver)
    midnight(date(2026, 11, 22))
    assert await run(driver) == []


async def test_news_that_arrive_while_a_birthday_is_untold_do_not_swallow_it(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    midnight(date(2026, 11, 23))  # the job has not run since the 20th
    person.say("living_situation", date(2026, 11, 22), tags=("alone",))
    await driver.deliver(person.facts())
    assert await told(driver) == [STARTED, ("Started", "visiting_care", date(2026, 11, 22))]
    assert await run(driver) == []


async def test_an_end_known_in_advance_is_told_on_its_day(driver: Driver, elder: Any) -> None:
    person = elder()
    person.say("living_situation", date(2026, 11, 1), date(2026, 11, 25), tags=("alone",))
    await driver.deliver(person.facts())
    await told(driver)
    midnight(date(2026, 11, 30))
    assert await run(driver) == [("Ended", "visiting_care", date(2026, 11, 25))]


async def test_what_begins_today_is_told_with_the_decision_and_not_again(driver: Driver, elder: Any) -> None:
    person = elder(born=date(1946, 11, 20))
    await driver.deliver(person.facts())
    assert ("Started", "longevity_allowance", date(2026, 11, 20)) in await told(driver)
    assert await run(driver) == []


async def test_a_past_that_is_known_better_tells_nothing(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await told(driver)
    person.say("living_situation", date(2025, 1, 1), date(2025, 7, 1), tags=("alone",))
    await driver.deliver(person.facts())
    assert await told(driver) == []


async def test_a_change_of_tier_is_an_end_and_a_beginning(driver: Driver, elder: Any) -> None:
    person = elder(born=date(1946, 11, 22))
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    await told(driver)
    midnight(date(2026, 11, 22))
    day = date(2026, 11, 22)
    assert sorted(await run(driver)) == [
        ("Ended", "visiting_care", day),
        ("Started", "longevity_allowance", day),
        ("Started", "visiting_care", day),
    ]


async def test_a_birthday_during_a_suspicion_is_told_when_the_suspicion_is_cleared(driver: Driver, elder: Any) -> None:
    person = await turning_80_tomorrow(driver, elder)
    person.say("death", date(2026, 11, 20), evidence="reported")
    await driver.deliver(person.facts())
    assert await told(driver) == []
    midnight(date(2026, 11, 23))
    assert await run(driver) == []
    person.say("alive", date(2026, 11, 22), method="visit")
    await driver.deliver(person.facts())
    assert await told(driver) == [STARTED]
    clock.advance(timedelta(days=1))
    assert await run(driver) == []
