"""A machine that cannot run Kafka from its jars: error messages, and Kafka in Docker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shouwang import cli
from shouwang.runtime import java
from shouwang.runtime.broker import IN_DOCKER, DockerKafka
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.kafka_users import BROKER, KafkaUsers
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.supervise import is_missing


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with the programs of the test only."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("SHOUWANG_JARS", str(tmp_path / "no-jars"))
    monkeypatch.delenv("SHOUWANG_KAFKA", raising=False)
    return folder


def _put(folder: Path, name: str, script: str) -> None:
    shell = shutil.which("sh", path="/bin:/usr/bin")
    (folder / name).write_text(f"#!{shell}\n{script}\n")
    (folder / name).chmod(0o755)


def _put_java(folder: Path, version: str) -> None:
    _put(folder, "java", f"""echo 'openjdk version "{version}" 2020-01-01' >&2""")


@pytest.mark.parametrize(
    ("version", "major"), [("1.8.0_292", 8), ("11.0.2", 11), ("17.0.15", 17), ("21", 21), ("25-ea", 25)]
)
def test_the_major_version_of_java_is_read_in_its_old_and_new_spelling(
    programs: Path, version: str, major: int
) -> None:
    _put_java(programs, version)
    assert java.java_major() == major


def test_a_java_that_is_too_old_is_one_sentence_with_the_three_ways_and_exit_2(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _put_java(programs, "11.0.2")
    _put(programs, "mvn", "exit 1")
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path / "home"))
    for service in ("INGESTION", "IDENTIFICATION", "ASSESSMENT", "DISPATCH", "SUBSIDY", "SUPERVISION"):
        monkeypatch.setenv(f"SHOUWANG_DATABASE_URL_{service}", "postgresql://db.example/x")
    assert cli.main(["up", "--no-services"]) == 2
    output = capsys.readouterr().err
    assert output == (
        "shouwang: Java 11 is too old, Kafka needs ≥ 17: install Java ≥ 17 and Maven, or start a Docker engine, "
        "or set SHOUWANG_KAFKA to the address of a running Kafka.\n"
    )


def test_missing_java_and_missing_maven_have_different_sentences(programs: Path) -> None:
    assert java.java_problem() == "Java ≥ 17 is not on the PATH"
    _put_java(programs, "17.0.15")
    assert java.java_problem() == "Maven (mvn), which downloads Kafka's jars, is not on the PATH"
    _put(programs, "mvn", "exit 1")
    assert java.java_problem() is None


def test_a_download_that_fails_shows_the_error_of_maven(programs: Path) -> None:
    _put_java(programs, "17.0.15")
    _put(programs, "mvn", "echo '[ERROR] no route to central'; exit 1")
    with pytest.raises(LocalProblem, match=r"Maven could not download Kafka \(no route to central\): check"):
        java.ensure_jars()
    assert not java.jars_are_here()


def test_a_kafka_in_docker_has_died_only_when_its_container_has(programs: Path, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "home")
    assert not is_missing(runtime, "kafka")
    runtime.pid_file("kafka").parent.mkdir(parents=True)
    runtime.pid_file("kafka").write_text(IN_DOCKER)
    for pid, died in ((4_194_303, False), (0, True)):  # Docker shows 0 for a container that has ended
        _put(programs, "docker", f"echo {pid}")
        assert is_missing(runtime, "kafka") == died


def test_a_kafka_in_docker_has_users_whose_passwords_no_command_shows(tmp_path: Path) -> None:
    users = KafkaUsers(tmp_path, "127.0.0.1:20001")
    command = DockerKafka("kafka", 20001, tmp_path / "pid", users).run_command()
    file = users.folder / "docker.env"
    assert command[command.index("--env-file") + 1] == str(file)
    assert "shouwang.users=1" in command
    assert file.stat().st_mode & 0o777 == 0o600
    assert "KAFKA_LISTENER_NAME_CLIENTS_SCRAM___SHA___512_SASL_JAAS_CONFIG=" in file.read_text()
    for user in (BROKER, PROVISION):
        assert users.password(user) in file.read_text()
        assert users.password(user) not in " ".join(command)


def test_a_container_whose_kafka_has_no_users_is_not_started(programs: Path, tmp_path: Path) -> None:
    _put(programs, "docker", "exit 0")  # `inspect` finds the container, and it has no label
    runtime = Runtime(tmp_path / "home")
    with pytest.raises(LocalProblem, match="has a Kafka without users: remove it"):
        runtime.start_kafka()
