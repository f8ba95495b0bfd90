"""The watchdog replaces a part only if its waiting work could move."""

from aiokafka import TopicPartition
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.kafka.probes import Broker
from shell.parts import consumer_part
from shell.settings import settings
from shell.store.database import Database


async def test_a_process_without_a_partition_is_well_while_all_partitions_wait_for_an_operator(
    database: Database,
) -> None:
    consumer = Consumer("probe", database, Handlers(), settings())
    await consumer.take_over([TopicPartition("dispatch.visit", part) for part in range(2)])
    await database.pool.execute("UPDATE consumer_offsets SET stopped = 'recreated'")
    part = consumer_part(consumer, Broker(settings()), settings())
    assert await part.waiting() is None
    assert await part.waiting() is None
