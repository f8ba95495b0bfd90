"""A fault concerns the requests to one broker only."""

import asyncio

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from shouwang.trials.broken_requests import intercepted


class Fault(Exception):
    pass


def fail(request: str) -> None:
    raise Fault(request)


async def test_a_fault_concerns_the_requests_to_its_broker_and_no_others() -> None:
    broken, sound = AIOKafkaConnection("broken", 1), AIOKafkaConnection("sound", 1)
    with intercepted("broken:1", fail):
        with pytest.raises(Fault, match="MetadataRequest"):
            broken.send(MetadataRequest())
        with pytest.raises(KafkaConnectionError):  # it passed the interception and has no connection
            await asyncio.wait_for(sound.send(MetadataRequest()), 1)
    with pytest.raises(KafkaConnectionError):
        await asyncio.wait_for(broken.send(MetadataRequest()), 1)
