"""Which user of Kafka may do which operation: pure functions of contracts/topics.yaml and of the two registers.

A user is allowed only what is listed here. A source or a provider gets *literal* grants on its own topics: with a grant
on a prefix, a provider could write offers to itself. Only the service that owns a family of topics has a grant on its
prefix, because it creates such a topic before the job that grants runs again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from common.patterns import AREA, OFFICE
from shell.kafka.topics import INBOUND, Topic, inbound_topic, is_inbound, source_of_topic

from shouwang.runtime.services import SERVICES, STORED

Kind = Literal["topic", "group"]
Operation = Literal["read", "write", "create", "describe", "describe_configs", "alter_configs"]
OPERATOR: Final = "operator"  # the commands of an operator: reads the topics and all positions, changes nothing
PROVISION: Final = "provision"  # the job that creates topics, users and grants: the super user
CONSOLE: Final = "console"
PROVIDER_TOPICS: Final = "dispatch.provider."
REPLIES: Final = ".replies"
_INBOUND_TOPICS: Final = f"{INBOUND}."
_SOURCE_USER: Final = re.compile(rf"source\.({AREA})\.({OFFICE})")
_PROVIDER_USER: Final = re.compile(r"provider\.([0-9A-Z]{18})")


class Acl(NamedTuple):
    """One operation that a user may do. `is_prefix`: on all names that begin with `name`."""

    user: str
    operation: Operation
    kind: Kind
    name: str
    is_prefix: bool = False


class Registers(NamedTuple):
    """The registers of sources and providers. `sources`: every active source by URN, with whether it has an own topic.
    `providers`: the credit codes of the providers that subscribe by Kafka."""

    sources: Mapping[str, bool]
    providers: frozenset[str]


def own_users() -> list[str]:
    """The users of the platform itself, whose passwords are in files."""
    return [*SERVICES, OPERATOR, PROVISION]


def source_user(source: str) -> str:
    """The user of a source: `source.530300.psb` for `urn:cn:exchange:530300:psb`. Raises ValueError for no URN."""
    return f"source.{inbound_topic(source).removeprefix(_INBOUND_TOPICS)}"


def provider_user(uscc: str) -> str:
    """The user of a provider."""
    return f"provider.{uscc}"


def writer_of(topic: str) -> str | None:
    """The user of the source or the provider who alone writes to this topic; None for any other topic."""
    if source := source_of_topic(topic):
        return source_user(source)
    uscc = topic.removeprefix(PROVIDER_TOPICS).removesuffix(REPLIES)
    user = provider_user(uscc)
    return user if topic == f"{PROVIDER_TOPICS}{uscc}{REPLIES}" and is_outsider(user) else None


def is_outsider(user: str) -> bool:
    """Whether this is the name of a user of a source or of a provider."""
    return bool(_SOURCE_USER.fullmatch(user) or _PROVIDER_USER.fullmatch(user))


def acls_of_services(topics: Sequence[Topic]) -> set[Acl]:
    """The grants of all services, the console and the operator. The super user needs none."""
    found = {acl for service in STORED for acl in _acls_of_service(service, topics)}
    found |= _reading(CONSOLE, [topic.name for topic in topics if CONSOLE in topic.readers])
    found |= _reading(OPERATOR, [topic.name for topic in topics if not is_inbound(topic.name)])
    found |= _reading(OPERATOR, [PROVIDER_TOPICS], is_prefix=True)
    for user in (CONSOLE, OPERATOR):
        found |= {Acl(user, "describe", "group", service) for service in STORED}
        found |= _counting(user)
    found.add(Acl(OPERATOR, "describe_configs", "topic", INBOUND))
    found.add(Acl(OPERATOR, "describe_configs", "topic", _INBOUND_TOPICS, is_prefix=True))
    return found


def _acls_of_service(service: str, topics: Sequence[Topic]) -> set[Acl]:
    found = {Acl(service, "read", "group", service)}
    found |= {Acl(service, "write", "topic", t.name) for t in topics if t.owner == service and not is_inbound(t.name)}
    found |= _reading(service, [t.name for t in topics if service in t.readers])
    for topic in topics:
        if topic.owner == service and topic.pace is not None:
            found |= {Acl(service, "describe", "group", group) for group in topic.pace.consumers}
    if service == "ingestion":
        found |= _keeping(service, INBOUND) | _keeping(service, _INBOUND_TOPICS, is_prefix=True)
        found |= _reading(service, [_INBOUND_TOPICS], is_prefix=True)
    if service == "dispatch":
        found |= _keeping(service, PROVIDER_TOPICS, is_prefix=True)
        found |= _reading(service, [PROVIDER_TOPICS], is_prefix=True)
        found.add(Acl(service, "write", "topic", PROVIDER_TOPICS, is_prefix=True))
    return found


def _reading(user: str, names: Iterable[str], *, is_prefix: bool = False) -> set[Acl]:
    """Read topics, and see how long they keep records (`shell.kafka.retention`)."""
    operations: tuple[Operation, ...] = ("read", "describe_configs")
    return {Acl(user, operation, "topic", name, is_prefix) for name in names for operation in operations}


def _keeping(user: str, name: str, *, is_prefix: bool = False) -> set[Acl]:
    """Create topics, and give them the settings of the contract."""
    operations: tuple[Operation, ...] = ("create", "describe_configs", "alter_configs")
    return {Acl(user, operation, "topic", name, is_prefix) for operation in operations}


def _counting(user: str) -> set[Acl]:
    """See the end offsets of topics of sources and providers, without their records."""
    return {
        Acl(user, "describe", "topic", INBOUND),
        Acl(user, "describe", "topic", _INBOUND_TOPICS, is_prefix=True),
        Acl(user, "describe", "topic", PROVIDER_TOPICS, is_prefix=True),
    }


def acls_of_outsider(user: str, registers: Registers) -> set[Acl]:
    """The grants of a source or a provider by the registers. Empty: it may not use Kafka (any more).

    A source without an own topic writes to the shared topic, where each record needs its signature.
    """
    if found := _SOURCE_USER.fullmatch(user):
        has_own = registers.sources.get(f"urn:cn:exchange:{found[1]}:{found[2]}")
        if has_own is None:
            return set()
        topic = f"{_INBOUND_TOPICS}{found[1]}.{found[2]}" if has_own else INBOUND
        return {Acl(user, "write", "topic", topic), Acl(user, "describe", "topic", topic)}
    if (found := _PROVIDER_USER.fullmatch(user)) and found[1] in registers.providers:
        offers, replies = f"{PROVIDER_TOPICS}{found[1]}", f"{PROVIDER_TOPICS}{found[1]}{REPLIES}"
        return {
            Acl(user, "read", "topic", offers),
            Acl(user, "describe", "topic", offers),
            Acl(user, "write", "topic", replies),
            Acl(user, "describe", "topic", replies),
            Acl(user, "read", "group", f"provider.{found[1]}.", is_prefix=True),
        }
    return set()
