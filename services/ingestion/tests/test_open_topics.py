"""A source that may send on Kafka waits for its topic while the broker is down, and can see this."""

import socket
from datetime import timedelta

import pytest
from ingestion.register import sources
from ingestion.register.open_topics import RETRY_SECONDS_MAX, open_topics
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from ingestion.register.store import topics as store
from prometheus_client import REGISTRY
from shell import clock
from shell.settings import settings

PSB, FUNERAL = "urn:cn:exchange:530300:psb", "urn:cn:exchange:530300:funeral"


@pytest.fixture
async def no_broker(database, monkeypatch):
    """The register of the seed, and a Kafka address on which no process listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SHOUWANG_KAFKA", f"127.0.0.1:{taken.getsockname()[1]}")
        settings.cache_clear()
        await seed_register(database)
        yield
    settings.cache_clear()


async def test_a_topic_waits_for_the_broker_and_the_source_sees_why(no_broker, database, admin):
    assert await open_topics(database) == 0
    topic = (await admin.get(f"/v1/sources/{PSB}")).json()["topic"]
    assert (topic["name"], topic["state"], topic["tries"]) == ("population.inbound.530300.psb", "waiting", 1)
    assert topic["problem"] == "KafkaConnectionError"
    assert (await admin.get(f"/v1/sources/{FUNERAL}")).json()["topic"] is None


async def test_it_is_tried_again_at_longer_and_longer_intervals_with_an_end(no_broker, database):
    wanted = sorted(urn for urn, entry in seed().items() if entry.kafka)
    for tries in range(1, 9):
        await open_topics(database)
        topic = await store.load_topic(database.pool, PSB)
        assert topic.tries == tries
        pause = topic.try_at - clock.real_now()
        assert pause <= timedelta(seconds=min(2**tries, RETRY_SECONDS_MAX))
        assert pause > timedelta(seconds=min(2**tries, RETRY_SECONDS_MAX) - 2)
        assert await store.list_due(database.pool, wanted, clock.real_now(), 100) == {}
        await database.pool.execute("UPDATE source_topics SET try_at = now() - interval '1 second'")
    assert len(await store.list_due(database.pool, wanted, clock.real_now(), 100)) == len(wanted)


async def test_a_source_that_no_longer_sends_on_kafka_does_not_wait_for_a_topic(no_broker, database, admin):
    await open_topics(database)
    before = REGISTRY.get_sample_value("shouwang_source_topics_waiting")
    assert before == sum(entry.kafka for entry in seed().values())
    entry = seed()[PSB].model_dump(mode="json") | {"kafka": False}
    answer = await admin.put(f"/v1/sources/{PSB}", json={"entry": entry, "reason": "改用接口", "replaces": 1})
    assert answer.status_code == 200, answer.text
    await sources.refresh(database, now=True)
    await open_topics(database)
    assert REGISTRY.get_sample_value("shouwang_source_topics_waiting") == before - 1
