"""The grants of Kafka follow from contracts/topics.yaml and the two registers."""

import pytest
from common.codes import uscc
from shell.kafka.topics import INBOUND, load_topics
from shouwang.runtime.kafka_acls import (
    CONSOLE,
    OPERATOR,
    PROVISION,
    Acl,
    Registers,
    acls_of_outsider,
    acls_of_services,
    is_outsider,
    own_users,
    provider_user,
    source_user,
    writer_of,
)
from shouwang.runtime.services import STORED

X = uscc.make("52530302MJ0000091")
PSB = "urn:cn:exchange:530300:psb"
REGISTERS = Registers({PSB: True, "urn:cn:exchange:530302:signed": False}, frozenset({X}))


def of(user: str) -> set[Acl]:
    return {acl for acl in acls_of_services(load_topics()) if acl.user == user}


def test_the_owner_of_a_topic_alone_writes_it_and_nobody_writes_the_topics_of_sources() -> None:
    writers = {(acl.name, acl.user) for acl in acls_of_services(load_topics()) if acl.operation == "write"}
    assert writers == {(t.name, t.owner) for t in load_topics() if t.name != INBOUND} | {
        ("dispatch.provider.", "dispatch")
    }


def test_only_ingestion_reads_pushed_events() -> None:
    readers = {a.user for a in acls_of_services(load_topics()) if a.operation == "read" and a.name.startswith(INBOUND)}
    assert readers == {"ingestion"}


def test_console_and_operator_change_nothing_and_join_no_group() -> None:
    for user in (CONSOLE, OPERATOR):
        assert {acl.operation for acl in of(user)} == {"read", "describe", "describe_configs"}
        assert {acl.operation for acl in of(user) if acl.kind == "group"} == {"describe"}


def test_a_service_joins_its_own_group_only() -> None:
    for service in STORED:
        groups = {acl.name for acl in of(service) if acl.kind == "group" and acl.operation == "read"}
        assert groups == {service}


def test_only_the_owner_of_a_family_of_topics_has_a_grant_on_a_prefix() -> None:
    families = {(a.user, a.name) for a in acls_of_services(load_topics()) if a.is_prefix and a.operation != "describe"}
    assert families == {
        ("ingestion", "population.inbound."),
        ("dispatch", "dispatch.provider."),
        (OPERATOR, "dispatch.provider."),
        (OPERATOR, "population.inbound."),
    }
    changing = {"create", "alter_configs", "write"}
    creators = {a.user for a in acls_of_services(load_topics()) if a.operation in changing and a.is_prefix}
    assert creators == {"ingestion", "dispatch"}


def test_the_super_user_has_no_grant_and_no_service_is_the_super_user() -> None:
    assert not of(PROVISION)
    assert PROVISION not in STORED
    assert set(own_users()) == {*STORED, CONSOLE, OPERATOR, PROVISION}


def test_a_provider_has_literal_grants_on_its_two_topics() -> None:
    user, topic = provider_user(X), f"dispatch.provider.{X}"
    assert acls_of_outsider(user, REGISTERS) == {
        Acl(user, "read", "topic", topic),
        Acl(user, "describe", "topic", topic),
        Acl(user, "write", "topic", f"{topic}.replies"),
        Acl(user, "describe", "topic", f"{topic}.replies"),
        Acl(user, "read", "group", f"{user}.", is_prefix=True),
    }


def test_a_source_writes_its_topic_or_the_shared_one() -> None:
    own, shared = source_user(PSB), source_user("urn:cn:exchange:530302:signed")
    assert {a.name for a in acls_of_outsider(own, REGISTERS)} == {"population.inbound.530300.psb"}
    assert {a.name for a in acls_of_outsider(shared, REGISTERS)} == {INBOUND}
    for user in (own, shared):
        assert {a.operation for a in acls_of_outsider(user, REGISTERS)} == {"write", "describe"}


@pytest.mark.parametrize(
    "user", ["source.530300.mca", provider_user(uscc.make("52530302MJ0000092")), "ingestion", "provision", "x"]
)
def test_an_unregistered_user_has_no_grants(user: str) -> None:
    assert acls_of_outsider(user, REGISTERS) == set()


def test_the_names_of_outsiders_are_no_names_of_the_platform() -> None:
    assert not [user for user in (*own_users(), "broker") if is_outsider(user)]
    assert is_outsider(source_user(PSB))
    assert is_outsider(provider_user(X))
    with pytest.raises(ValueError, match="URN"):
        source_user("urn:cn:exchange:5303:psb")


def test_the_writer_of_a_topic_is_the_source_or_provider_that_owns_it() -> None:
    assert writer_of("population.inbound.530300.psb") == "source.530300.psb"
    assert writer_of(f"dispatch.provider.{X}.replies") == provider_user(X)
    for topic in (INBOUND, f"dispatch.provider.{X}", "dispatch.visit", "dispatch.provider.x.replies"):
        assert writer_of(topic) is None
