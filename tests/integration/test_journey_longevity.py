"""The longevity allowance starts on a birthday by itself, and follows the hukou in a move."""

from shouwang.stories.longevity import eightieth_birthday, move_between_counties
from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript


async def test_the_allowance_begins_at_midnight_of_the_eightieth_birthday(platform: Platform) -> None:
    await eightieth_birthday(platform, Transcript())


async def test_a_person_who_moves_is_paid_by_one_county_at_a_time(platform: Platform) -> None:
    await move_between_counties(platform, Transcript())
