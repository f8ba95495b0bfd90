"""How far a relay may be ahead of the readers of its topics. The answers of the broker are given."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata
from shell.kafka.pace import Pace
from shell.kafka.topics import PaceRule, Topic
from shell.settings import settings

NAME = "assessment.ability"
TOPIC = Topic(
    name=NAME,
    owner="assessment",
    key="person_id",
    cleanup="compact",
    pace=PaceRule(consumers=["identification"], ahead_max=100),
)


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets that the group has committed."""
    found: dict[TopicPartition, OffsetAndMetadata] = {}

    async def answer(*_: Any, **__: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        return found

    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(AIOKafkaAdminClient, "start", nothing)
    monkeypatch.setattr(AIOKafkaAdminClient, "close", nothing)
    monkeypatch.setattr(AIOKafkaAdminClient, "list_consumer_group_offsets", answer)
    return found


async def test_a_relay_waits_for_a_reader_that_is_far_behind(
    committed: dict[TopicPartition, OffsetAndMetadata],
) -> None:
    pace = Pace([TOPIC], settings())
    committed[TopicPartition(NAME, 0)] = OffsetAndMetadata(40, "")
    pace.sent(NAME, 0, 1_000)
    assert await pace.holds()
    await pace.close()


async def test_a_relay_does_not_wait_for_offsets_of_a_deleted_topic(
    committed: dict[TopicPartition, OffsetAndMetadata],
) -> None:
    """The topic is created again while the relay runs, so its offsets begin again at 0."""
    pace = Pace([TOPIC], settings())
    pace.sent(NAME, 0, 1_000)
    pace.sent(NAME, 0, 50)
    committed[TopicPartition(NAME, 0)] = OffsetAndMetadata(40, "")
    assert not await pace.holds()
    await pace.close()
