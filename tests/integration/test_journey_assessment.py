"""From the assessment that a list requires to the subsidy after its result."""

from shouwang.stories.assessments import assessed
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript


async def test_a_person_found_disabled_receives_the_nursing_subsidy_without_an_application(platform: Platform) -> None:
    await assessed(platform, Transcript())
