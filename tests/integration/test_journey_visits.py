"""Visits: offered, completed, verified and missed."""

from shouwang.stories.platform import Platform
from shouwang.stories.transcript import Transcript
from shouwang.stories.visits import missed_visit, visit_by_http, visit_by_kafka


async def test_a_provider_answers_by_its_topics_and_one_pushed_event_shows_the_whole_chain(platform: Platform) -> None:
    await visit_by_kafka(platform, Transcript())


async def test_a_provider_answers_by_http_and_the_visit_is_verified(platform: Platform) -> None:
    await visit_by_http(platform, Transcript())


async def test_a_visit_without_a_record_is_missed_after_its_time_and_dispatched_again(platform: Platform) -> None:
    await missed_visit(platform, Transcript())
