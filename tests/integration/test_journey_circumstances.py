"""A fact of one source reaches all affected people, and so does its correction."""

from shouwang.stories.circumstances import corrected_certificate, household_low_income
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript


async def test_a_corrected_certificate_is_decided_again_and_both_decisions_stay_explained(platform: Platform) -> None:
    await corrected_certificate(platform, Transcript())


async def test_the_low_income_of_a_household_reaches_its_members(platform: Platform) -> None:
    await household_low_income(platform, Transcript())
