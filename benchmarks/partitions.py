"""The topics and partitions of a broker."""

from aiokafka.admin import AIOKafkaAdminClient

Partition = tuple[str, int]  # topic and number


async def list_partitions(kafka: str, topics: list[str] | None = None) -> list[Partition]:
    """All partitions of `topics`, or of every topic except Kafka's internal ones. Unknown topics are left out."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    found = [(entry["topic"], part["partition"]) for entry in described for part in entry["partitions"]]
    return sorted(partition for partition in found if not partition[0].startswith("_"))
