"""Which topics and partitions there are."""

from aiokafka.admin import AIOKafkaAdminClient

Place = tuple[str, int]


async def places(kafka: str, topics: list[str] | None = None) -> list[Place]:
    """Every partition of `topics`, or of all but Kafka's own. Topics that are not there are left out."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    found = [(entry["topic"], part["partition"]) for entry in described for part in entry["partitions"]]
    return sorted(place for place in found if not place[0].startswith("_"))
