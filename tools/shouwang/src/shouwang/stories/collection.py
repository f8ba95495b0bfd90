"""All stories of the demonstration, in the order in which time passes."""

from __future__ import annotations

from shouwang.stories.assessments import assessed
from shouwang.stories.circumstances import corrected_certificate, household_low_income
from shouwang.stories.deaths import late_death, revoked_death, suspected_death, wrongly_declared_dead
from shouwang.stories.longevity import eightieth_birthday, move_between_counties
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Teller
from shouwang.stories.visits import visit_by_kafka


async def tell_all(platform: Platform, tell: Teller) -> None:
    """Begins on the evening before the last day of a month and ends on the first day of the next one."""
    case = await wrongly_declared_dead(platform)
    await eightieth_birthday(platform, tell)
    await move_between_counties(platform, tell)
    await corrected_certificate(platform, tell)
    await household_low_income(platform, tell)
    await late_death(platform, tell)
    await revoked_death(platform, tell, case)
    await suspected_death(platform, tell)
    await visit_by_kafka(platform, tell)
    await assessed(platform, tell, until_due=False)
