"""Which topics each hop takes in, and what it puts out for it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shell.kafka.topics import INBOUND, is_inbound

# what a topic's messages are made from: the taking in of that topic drives the putting out of this one
MADE_FROM: Mapping[str, str] = {
    "ingestion.person": INBOUND,
    "identification.entitlement": "ingestion.person",
    "identification.edge": "ingestion.person",
    "assessment.case": "identification.entitlement",
    "assessment.ability": "assessment.case",
    "dispatch.visit": "identification.entitlement",
    "subsidy.payment": "identification.entitlement",
    "supervision.finding": "dispatch.visit",
}
PROVIDERS = "dispatch.provider."
PROVIDERS_MADE_FROM = "identification.entitlement"


@dataclass(frozen=True)
class Hop:
    """One store. `takes`: the topics it reads, with their numbers of records. `puts`: by stream that drives them, the
    topics it writes."""

    service: str
    takes: Mapping[str, int]
    puts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All records it takes."""
        return sum(self.takes.values())

    def count_of(self, stream: str) -> int:
        """The records that it takes of one stream."""
        return sum(count for topic, count in self.takes.items() if stream_of(topic) == stream)


def stream_of(topic: str) -> str:
    """The source of a hop: one topic, or the topics of all sources together."""
    return INBOUND if is_inbound(topic) else topic


def source_of(topic: str) -> str | None:
    """The stream that drives this topic."""
    return PROVIDERS_MADE_FROM if topic.startswith(PROVIDERS) else MADE_FROM.get(topic)


def hops(counts: Mapping[str, int], readers: Mapping[str, Sequence[str]]) -> list[Hop]:
    """The hops of a recorded burst: `counts` per topic, `readers` per service."""
    found = []
    for service, topics in readers.items():
        takes = {topic: counts[topic] for topic in topics if counts.get(topic)}
        streams = {stream_of(topic) for topic in takes}
        puts: dict[str, list[str]] = {}
        for topic in counts:
            source = source_of(topic)
            if topic.partition(".")[0] == service and source in streams:
                puts.setdefault(source, []).append(topic)
        found.append(Hop(service, takes, puts))
    return found


def due(taken: int, of: int, total: int) -> int:
    """How many of `total` are put out once `taken` of `of` are taken in."""
    return total if taken >= of else total * taken // of
