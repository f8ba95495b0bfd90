"""Finds the input and output topics of each hop, which stands for one service in the raw limit. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shell.kafka.topics import INBOUND, is_inbound

# Output topic → the input stream whose records produce it.
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
Counts = Mapping[str, int]  # records by topic
Readers = Mapping[str, Sequence[str]]  # topics by service
PROVIDERS = "dispatch.provider."
PROVIDERS_MADE_FROM = "identification.entitlement"


@dataclass(frozen=True)
class Hop:
    """One service. `inputs`: records per topic that it reads. `outputs`: the topics that it writes, by the input
    stream that produces them."""

    service: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of input records."""
        return sum(self.inputs.values())

    def count_of(self, stream: str) -> int:
        """The number of input records of one stream."""
        return sum(count for topic, count in self.inputs.items() if stream_of(topic) == stream)


def stream_of(topic: str) -> str:
    """The topic itself; the inbound topics of all sources are one stream."""
    return INBOUND if is_inbound(topic) else topic


def source_of(topic: str) -> str | None:
    """The input stream that produces this output topic; None for an output without a known stream."""
    return PROVIDERS_MADE_FROM if topic.startswith(PROVIDERS) else MADE_FROM.get(topic)


def hops(counts: Counts, readers: Readers) -> list[Hop]:
    """The hops of a recorded burst."""
    return [_hop(service, topics, counts) for service, topics in readers.items()]


def _hop(service: str, topics: Sequence[str], counts: Counts) -> Hop:
    inputs = {topic: counts[topic] for topic in topics if counts.get(topic)}
    written = [topic for topic in counts if topic.partition(".")[0] == service]
    return Hop(service, inputs, _outputs(written, {stream_of(topic) for topic in inputs}))


def _outputs(topics: Iterable[str], streams: set[str]) -> dict[str, list[str]]:
    outputs: defaultdict[str, list[str]] = defaultdict(list)
    for topic in topics:
        source = source_of(topic)
        if source in streams:
            outputs[source].append(topic)
    return dict(outputs)


def due_count(taken: int, inputs: int, outputs: int) -> int:
    """How many of `outputs` records are due after `taken` of `inputs` records."""
    return outputs if taken >= inputs else outputs * taken // inputs
