"""From the list that asks for an assessment to the money that follows from its result."""

from shouwang.stories.assessments import assessed
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript


async def test_who_is_found_disabled_is_granted_the_nursing_subsidy_without_applying(platform: Platform) -> None:
    await assessed(platform, Transcript())
