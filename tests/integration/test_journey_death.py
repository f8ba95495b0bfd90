"""Deaths that are reported late, revoked, or only suspected."""

from shouwang.stories.deaths import late_death, revoked_death, wrongly_declared_dead
from shouwang.stories.platform import Platform
from shouwang.stories.suspicions import suspected_death, suspected_without_visits
from shouwang.stories.transcript import Transcript


async def test_a_late_death_cancels_visits_and_recovers_the_months_paid_after_it(platform: Platform) -> None:
    await late_death(platform, Transcript())


async def test_a_revoked_death_reinstates_and_pays_the_missing_months(platform: Platform) -> None:
    case = await wrongly_declared_dead(platform)
    await platform.move_to_day(platform.next_month())
    await revoked_death(platform, Transcript(), case)


async def test_a_reported_death_holds_the_money_and_sends_one_check_until_a_sign_of_life(platform: Platform) -> None:
    await suspected_death(platform, Transcript())


async def test_a_person_without_visits_is_checked_on_the_same_day_and_a_long_hold_is_an_alert(
    platform: Platform,
) -> None:
    await suspected_without_visits(platform, Transcript())
