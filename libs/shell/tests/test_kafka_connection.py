"""How a process connects to Kafka: its address, its user and the encryption."""

import os
import ssl
from pathlib import Path

import pytest
from shell.kafka import client
from shell.kafka.client import connection
from shell.kafka.liveness import ClientEnded, require_running
from shell.settings import Settings


def test_without_a_user_only_the_address_is_given() -> None:
    assert connection(Settings(kafka="kafka:9092")) == {"bootstrap_servers": "kafka:9092"}


def test_a_user_is_encrypted_and_authenticated_by_scram_unless_the_settings_say_otherwise() -> None:
    found = connection(Settings(kafka_username="dispatch", kafka_password="secret"))
    assert (found["security_protocol"], found["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert found["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert found["ssl_context"].check_hostname
    local = Settings(kafka_username="p", kafka_password="s", kafka_tls=False, kafka_mechanism="PLAIN")
    found = connection(local)
    assert (found["security_protocol"], found["sasl_mechanism"]) == ("SASL_PLAINTEXT", "PLAIN")
    assert found["ssl_context"] is None


def test_the_file_of_the_password_is_read_for_each_client(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = Settings(kafka_username="dispatch", kafka_password_file=file, kafka_tls=False)
    for password in ("first", "second"):
        file.write_text(f"{password}\n")
        assert connection(settings)["sasl_plain_password"] == password
    given = settings.model_copy(update={"kafka_password": "third"})
    assert connection(given)["sasl_plain_password"] == "third"
    file.unlink()
    with pytest.raises(OSError, match="password"):
        connection(settings)


def test_a_wrong_file_of_the_authority_is_an_error_and_not_the_trust_of_the_system(tmp_path: Path) -> None:
    settings = Settings(kafka_username="dispatch", kafka_password="secret", kafka_ca=tmp_path / "missing.pem")
    with pytest.raises(OSError, match="No such file"):
        connection(settings)


async def test_a_client_whose_password_was_replaced_must_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    settings = Settings(kafka_username="dispatch", kafka_password_file=file, kafka_tls=False)
    clients = [client.consumer(settings, None), client.producer(settings), client.admin(settings)]
    for made in clients:
        require_running(made)
    os.utime(file, (1, 1))
    for made in clients:
        with pytest.raises(ClientEnded, match="its password was replaced"):
            require_running(made)
        made._closed = True
