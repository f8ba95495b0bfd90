"""The stories of the demonstration, in the order of business time."""

from __future__ import annotations

from shouwang.stories.assessments import assessed
from shouwang.stories.circumstances import corrected_certificate, household_low_income
from shouwang.stories.deaths import late_death, revoked_death, wrongly_declared_dead
from shouwang.stories.longevity import eightieth_birthday, move_between_counties
from shouwang.stories.platform import Platform
from shouwang.stories.suspicions import suspected_death
from shouwang.stories.transcript import Transcript
from shouwang.stories.visits import visit_by_kafka


async def run_all(platform: Platform, transcript: Transcript) -> None:
    """Tell the stories of the demonstration. Business time must be the evening before the last day of a month.

    The stories end on the first day of the next month.
    """
    case = await wrongly_declared_dead(platform)
    await eightieth_birthday(platform, transcript)
    await move_between_counties(platform, transcript)
    await corrected_certificate(platform, transcript)
    await household_low_income(platform, transcript)
    await late_death(platform, transcript)
    await revoked_death(platform, transcript, case)
    await suspected_death(platform, transcript)
    await visit_by_kafka(platform, transcript)
    await assessed(platform, transcript, until_due=False)
