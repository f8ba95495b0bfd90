"""contracts/topics.yaml names exactly the services that read a topic: the broker grants no more and no less."""

import importlib
import re

from console.reader import topics as topics_of_console
from dispatch.domain.providers import provider_topic
from dispatch.open_topics import topics_of as topics_of_provider
from shell.kafka.topics import load_source_topic, load_topics
from shouwang.runtime.kafka_acls import CONSOLE, PROVIDER_TOPICS, REPLIES
from shouwang.runtime.services import SERVICES, STORED

PROVIDER = "52530302MJ00000017"


def patterns() -> dict[str, str]:
    """The regular expression of the topics that each service reads."""
    return {service: importlib.import_module(f"{service}.main").service.handlers.pattern() for service in STORED}


def test_the_readers_of_a_topic_are_the_services_with_a_handler_and_the_console() -> None:
    for topic in load_topics():
        readers = {service for service, pattern in patterns().items() if re.fullmatch(pattern, topic.name)}
        readers |= {CONSOLE} if topic.name in topics_of_console() else set()
        assert set(topic.readers) == readers, topic.name


def test_ingestion_alone_reads_the_topics_of_sources_and_dispatch_the_answers_of_providers() -> None:
    source = load_source_topic("urn:cn:exchange:530300:psb")
    assert {service for service, pattern in patterns().items() if re.fullmatch(pattern, source.name)} == {"ingestion"}
    assert load_source_topic().readers == ["ingestion"]
    replies = provider_topic(PROVIDER) + REPLIES
    assert {service for service, pattern in patterns().items() if re.fullmatch(pattern, replies)} == {"dispatch"}


def test_owners_and_readers_are_services() -> None:
    for topic in load_topics():
        assert {topic.owner, *topic.readers} <= set(SERVICES), topic.name


def test_the_names_of_providers_topics_are_those_of_dispatch() -> None:
    names = [topic.name for topic in topics_of_provider(PROVIDER)]
    assert names == [f"{PROVIDER_TOPICS}{PROVIDER}", f"{PROVIDER_TOPICS}{PROVIDER}{REPLIES}"]
