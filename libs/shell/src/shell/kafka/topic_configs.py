"""Read the configuration of topics on the broker, and change it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from common.errors import Unavailable

_SET_ON_THE_TOPIC: Final = 1  # the broker's name for "neither inherited nor a default"
_UNKNOWN_TOPIC: Final = 3


class Config(NamedTuple):
    """One setting of one topic. `own`: set on the topic itself, not inherited from the broker."""

    value: str
    own: bool


async def describe(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, dict[str, Config]]:
    """Return every setting of the topics that exist, as topic → setting → value, by one request. Raises Unavailable if
    the broker refuses."""
    if not topics:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name, None) for name in topics])
    found: dict[str, dict[str, Config]] = {}
    for code, _, _, name, entries in (resource for answer in answers for resource in answer.resources):
        if code == _UNKNOWN_TOPIC:
            continue
        if code != 0:
            raise Unavailable(f"the settings of topic {name} cannot be read: {for_code(code).__name__}")
        found[name] = {entry[0]: Config(entry[1] or "", entry[3] == _SET_ON_THE_TOPIC) for entry in entries}
    return found


async def apply(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Change the settings that differ from `wanted` (topic → setting → value), and keep every other setting. Returns
    the names of the changed topics. Topics that do not exist are left out. Raises Unavailable if the broker refuses."""
    there = await describe(admin, sorted(wanted))
    changes = {}
    for topic, configs in there.items():
        if any(name not in configs or configs[name].value != value for name, value in wanted[topic].items()):
            own = {name: config.value for name, config in configs.items() if config.own}
            changes[topic] = {**own, **wanted[topic]}  # the request replaces all settings of a topic
    if not changes:
        return []
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in changes.items()]
    answers: list[Any] = await admin.alter_configs(resources)
    for code, _, _, name in (resource for answer in answers for resource in answer.resources):
        if code != 0:
            raise Unavailable(f"the settings of topic {name} cannot be changed: {for_code(code).__name__}")
    return sorted(changes)
