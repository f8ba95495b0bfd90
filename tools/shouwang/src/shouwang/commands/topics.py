"""`shouwang topics`: create missing topics and list them all."""

import argparse
from collections.abc import Sequence

from shell.kafka.topics import Topic, load_source_topic, load_topics

from shouwang.runtime import machine


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. Raises LocalProblem if Kafka does not answer."""
    argparse.ArgumentParser(prog="shouwang topics", description=__doc__).parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    created = set(runtime.create_topics())
    for topic in [*load_topics(), load_source_topic()]:
        print(_line(topic, is_new=topic.name in created))
    return 0


def _line(topic: Topic, *, is_new: bool) -> str:
    retention = "compact" if topic.cleanup == "compact" else f"{topic.retention_hours} h"
    new = "  (created now)" if is_new else ""
    return f"{topic.name:<34} key {topic.key:<13} {retention}{new}"
