"""Creates the users and the grants of Kafka: the only code that uses the AdminClient of confluent-kafka.

aiokafka has no calls for users and grants. Everything here may run again at any time: it changes only the differences.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the library does not mark its exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from shell.kafka.topics import load_topics

from shouwang.runtime import processes
from shouwang.runtime.kafka_acls import Acl, Registers, acls_of_outsider, acls_of_services, is_outsider, own_users
from shouwang.runtime.kafka_users import KafkaUsers, new_password
from shouwang.runtime.paths import write_atomically
from shouwang.runtime.problems import LocalProblem

log = logging.getLogger(__name__)
ANSWER_SECONDS_MAX: Final = 30.0
SEEN_SECONDS_MAX: Final = 20.0
ITERATIONS: Final = 4096  # RFC 5802; the passwords are random, so more rounds protect nothing
_KINDS: Final = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
_ANY: Final[Any] = None  # of a name, a user or an address
_EVERYTHING: Final = AclBindingFilter(
    ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
)
LoadRegisters = Callable[[], Registers]


class Changes(NamedTuple):
    """The users that got a (new) password or were deleted, and the numbers of grants."""

    users: list[str]
    deleted: list[str]
    granted: int
    revoked: int


def list_users(kafka: KafkaUsers) -> list[str]:
    """Return the names of all users with a SCRAM verifier. Raises LocalProblem."""
    return sorted(_users(_client(kafka)))


def bring_up_to_date(kafka: KafkaUsers, load_registers: LoadRegisters) -> Changes:
    """Give the services their passwords and every user its grants. Raises LocalProblem.

    A source or a provider that its register no longer permits loses its user. `load_registers` is called only if there
    are such users. If it raises LocalProblem, they stay as they are.
    """
    if kafka.is_local:
        kafka.make_passwords()
    client = _client(kafka)
    own = [user for user in own_users() if kafka.file(user).exists()]
    _set_passwords(client, {user: kafka.password(user) for user in own})
    outsiders = [user for user in _users(client) if is_outsider(user)]
    permitted = _permitted(outsiders, load_registers)
    wanted = acls_of_services(load_topics()).union(*permitted.values())
    granted, revoked = _apply(client, wanted, {*own_users(), *permitted})
    ended = [user for user, acls in permitted.items() if not acls]
    _delete_users(client, ended)
    return Changes(own, ended, granted, revoked)


def _permitted(outsiders: Sequence[str], load_registers: LoadRegisters) -> dict[str, set[Acl]]:
    """Return the grants of each source and provider with a user; nothing while the registers are unknown."""
    if not outsiders:
        return {}
    try:
        registers = load_registers()
    except LocalProblem as problem:
        log.warning("users of sources and providers stay as they are: %s", problem)
        return {}
    return {user: acls_of_outsider(user, registers) for user in outsiders}


def make_outsider(kafka: KafkaUsers, user: str, registers: Registers) -> str:
    """Create the user of a source or a provider with its grants, and return its new password, which is stored nowhere.

    An existing user gets a new password; its open connections stay. Raises LocalProblem if no register permits it.
    """
    wanted = acls_of_outsider(user, registers)
    if not wanted:
        raise LocalProblem(f"{user} may not use Kafka: its register entry is missing, inactive or names another way.")
    client, password = _client(kafka), new_password()
    _apply(client, wanted, {user})
    _set_passwords(client, {user: password})
    _await_login(kafka, user, password)
    return password


def replace_own_password(kafka: KafkaUsers, user: str) -> None:
    """Give one of the platform's own users a new password. Open connections stay, until the process sees the new file
    and connects again."""
    password = new_password()
    _set_passwords(_client(kafka), {user: password})
    _await_login(kafka, user, password)
    write_atomically(kafka.file(user), password)


def _client(kafka: KafkaUsers) -> AdminClient:
    return AdminClient({**kafka.administrator(), "log_level": 2})


def _answer(asked: Any) -> Any:
    """Await an answer (a Future) of the client. Raises LocalProblem if Kafka refuses."""
    try:
        return asked.result(ANSWER_SECONDS_MAX)
    except TimeoutError as late:
        raise LocalProblem("Kafka does not answer its super user: run `shouwang up`.") from late
    except KafkaException as error:
        raise LocalProblem(f"Kafka's users cannot be changed: {error.args[0].str()}") from error


def _users(client: AdminClient) -> set[str]:
    return set(_answer(client.describe_user_scram_credentials()))


def _set_passwords(client: AdminClient, passwords: Mapping[str, str]) -> None:
    """Store the verifiers, and wait until the broker knows the users."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, info, password.encode()) for user, password in passwords.items()
    ]
    for answer in client.alter_user_scram_credentials(changes).values() if changes else ():
        _answer(answer)
    if not processes.wait_until(lambda: passwords.keys() <= _users(client), SEEN_SECONDS_MAX, every_seconds=0.05):
        raise LocalProblem("Kafka has accepted the passwords of its users but does not use them.")


def _await_login(kafka: KafkaUsers, user: str, password: str) -> None:
    """Wait until the broker accepts the password, some milliseconds after it has stored the verifier."""
    login = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": password}
    client = AdminClient({**kafka.administrator(), **login, "log_level": 2})
    try:
        client.list_topics(timeout=SEEN_SECONDS_MAX)
    except KafkaException as error:
        raise LocalProblem(f"Kafka does not accept the new password of {user}: {error.args[0].str()}") from error


def _delete_users(client: AdminClient, users: Iterable[str]) -> None:
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512) for user in users
    ]
    for answer in client.alter_user_scram_credentials(changes).values() if changes else ():
        _answer(answer)


def _apply(client: AdminClient, wanted: Collection[Acl], managed: Collection[str]) -> tuple[int, int]:
    """Make the grants of the `managed` users exactly `wanted`; returns how many were added and removed. Grants of other
    users stay."""
    principals = {f"User:{user}" for user in managed}
    there = {binding for binding in _answer(client.describe_acls(_EVERYTHING)) if binding.principal in principals}
    goal = {_binding(acl) for acl in wanted}
    added, removed = goal - there, there - goal
    for answer in client.create_acls(list(added)).values() if added else ():
        _answer(answer)
    for answer in client.delete_acls([_filter(binding) for binding in removed]).values() if removed else ():
        _answer(answer)
    return len(added), len(removed)


def _binding(acl: Acl) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if acl.is_prefix else ResourcePatternType.LITERAL
    operation = AclOperation[acl.operation.upper()]
    return AclBinding(_KINDS[acl.kind], acl.name, pattern, f"User:{acl.user}", "*", operation, AclPermissionType.ALLOW)


def _filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
