"""The command `shouwang kafka`, and the files with the passwords of Kafka's users."""

import asyncio
import stat
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaError
from common.codes import uscc
from shell.kafka import client
from shell.kafka.topics import load_topics
from shell.settings import Settings
from shouwang import cli
from shouwang.runtime import kafka_grants, machine
from shouwang.runtime.kafka_acls import OPERATOR, Registers, own_users, provider_user
from shouwang.runtime.kafka_users import BROKER, KafkaUsers
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.services import STORED
from shouwang.runtime.stores import Stores
from shouwang.runtime.supervise import update_grants

X = uscc.make("52530302MJ0000093")


@pytest.fixture
def users(stores: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaUsers]:
    """The users of a broker whose job has run. The registers have one provider."""
    monkeypatch.setattr(machine, "local_runtime", lambda: stores)
    monkeypatch.setattr(Stores, "load_registers", lambda self: Registers({}, frozenset({X})))
    stores.create_topics()
    yield stores.kafka_users
    kafka_grants.bring_up_to_date(stores.kafka_users, lambda: Registers({}, frozenset()))


async def topics_of(settings: Settings) -> set[str]:
    admin = client.admin(settings)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


def test_only_the_owner_of_the_home_can_read_a_password(users: KafkaUsers) -> None:
    for user in (BROKER, *own_users()):
        assert stat.S_IMODE(users.file(user).stat().st_mode) == 0o600
        assert len(users.password(user)) >= 32
    assert len({users.password(user) for user in (BROKER, *own_users())}) == len(own_users()) + 1


def test_a_process_gets_the_name_of_the_file_and_no_password(users: KafkaUsers, stores: Runtime) -> None:
    for service in STORED:
        env = stores.environment(service)
        assert env["SHOUWANG_KAFKA_USERNAME"] == service
        assert env["SHOUWANG_KAFKA_PASSWORD_FILE"] == str(users.file(service))
        assert not {users.password(user) for user in own_users()} & set(env.values())


def test_the_broker_of_a_given_address_is_used_with_the_given_user(
    stores: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_KAFKA", "kafka.example:19093")
    monkeypatch.setenv("SHOUWANG_KAFKA_USERNAME", "given")
    monkeypatch.setenv("SHOUWANG_KAFKA_PASSWORD", "secret")
    settings = stores.kafka_settings("dispatch")
    assert (settings.kafka, settings.kafka_username, settings.kafka_tls) == ("kafka.example:19093", "given", True)
    options = stores.kafka_users.administrator()
    assert (options["sasl.mechanism"], options["security.protocol"]) == ("SCRAM-SHA-512", "SASL_SSL")
    assert "SHOUWANG_KAFKA_PASSWORD_FILE" not in stores.kafka_users.environment("dispatch")


def test_a_given_broker_without_its_super_user_cannot_be_administered(
    stores: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_KAFKA", "kafka.example:19093")
    with pytest.raises(LocalProblem, match="SHOUWANG_KAFKA_USERNAME"):
        stores.kafka_users.administrator()


async def test_the_job_runs_again_without_a_change_and_lists_its_users(
    users: KafkaUsers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(cli.main, ["kafka", "grant"]) == 0
    assert capsys.readouterr().out == f"{len(own_users())} users have their passwords, 0 grants added, 0 removed\n"
    assert await asyncio.to_thread(cli.main, ["kafka", "users"]) == 0
    assert capsys.readouterr().out.split() == sorted(own_users())


async def test_a_provider_gets_its_password_once(users: KafkaUsers, capsys: pytest.CaptureFixture[str]) -> None:
    passwords = []
    for _ in range(2):
        assert await asyncio.to_thread(cli.main, ["kafka", "user", X]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["user", provider_user(X)]
        passwords.append(lines[1].split()[1])
        assert f"may        write topic dispatch.provider.{X}.replies" in lines
    assert len(set(passwords)) == 2
    stored = [file for file in users.folder.rglob("*") if file.is_file() and passwords[1] in file.read_text()]
    assert stored == []
    assert await topics_of(users.settings(provider_user(X), passwords[1])) == set()  # it has no topics yet


@pytest.mark.parametrize(
    ("owner", "problem"),
    [
        (uscc.make("52530302MJ0000094"), "may not use Kafka"),
        ("urn:cn:exchange:530300:psb", "may not use Kafka"),
        ("urn:cn:exchange:5303:psb", "not the URN of a source"),
        ("ingestion", "neither the URN of a source nor"),
    ],
)
async def test_nobody_outside_the_registers_becomes_a_user(
    users: KafkaUsers, capsys: pytest.CaptureFixture[str], owner: str, problem: str
) -> None:
    assert await asyncio.to_thread(cli.main, ["kafka", "user", owner]) == 2
    assert problem in capsys.readouterr().err
    assert await asyncio.to_thread(kafka_grants.list_users, users) == sorted(own_users())


async def test_the_supervisor_ends_a_provider_that_left_and_survives_a_broker_that_is_away(
    users: KafkaUsers,
    stores: Runtime,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kafka_grants.make_outsider(users, provider_user(X), Registers({}, frozenset({X})))
    monkeypatch.setattr(Stores, "load_registers", lambda self: Registers({}, frozenset()))
    await asyncio.to_thread(update_grants, stores)
    assert capsys.readouterr().out.rstrip().endswith(f"these users of Kafka have ended: {provider_user(X)}")
    with monkeypatch.context() as away:
        away.setattr(Stores, "kafka_address", f"127.0.0.1:{closed_port}")
        away.setattr(kafka_grants, "ANSWER_SECONDS_MAX", 0.5)
        await asyncio.to_thread(update_grants, stores)
    assert "Kafka does not answer its super user" in capsys.readouterr().out


async def test_a_rotated_password_replaces_the_old_one(users: KafkaUsers) -> None:
    old = users.settings(OPERATOR, users.password(OPERATOR))
    known = {topic.name for topic in load_topics()}
    assert known <= await topics_of(old)
    assert await asyncio.to_thread(cli.main, ["kafka", "rotate", OPERATOR]) == 0
    assert known <= await topics_of(users.settings(OPERATOR))
    with pytest.raises(KafkaError):
        await topics_of(old)


async def test_a_provider_that_leaves_loses_its_user_and_unknown_registers_change_nothing(users: KafkaUsers) -> None:
    kafka_grants.make_outsider(users, provider_user(X), Registers({}, frozenset({X})))

    def away() -> Registers:
        raise LocalProblem("the databases are away")

    kept = await asyncio.to_thread(kafka_grants.bring_up_to_date, users, away)
    assert (kept.deleted, kept.revoked) == ([], 0)
    ended = await asyncio.to_thread(kafka_grants.bring_up_to_date, users, lambda: Registers({}, frozenset()))
    assert (ended.deleted, ended.revoked) == ([provider_user(X)], 5)
