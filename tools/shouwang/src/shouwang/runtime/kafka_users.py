"""The users of Kafka as the processes of one home use them: their passwords, and the settings of their clients.

The passwords of the platform's own users are files in one folder, each readable by its owner only. The broker stores
a SCRAM verifier, from which no password follows. The password of a source or a provider is in no file: the command that
makes it prints it once.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from shell.settings import Settings

from shouwang.runtime.kafka_acls import PROVISION, own_users
from shouwang.runtime.kafka_tls import make_certificates
from shouwang.runtime.paths import write_atomically
from shouwang.runtime.problems import LocalProblem

BROKER: Final = "broker"  # the broker's own connections
_PASSWORD_BYTES: Final = 24


def new_password() -> str:
    """A random password without characters that a configuration file or a shell would change."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


class KafkaUsers:
    """The users of the broker at `address`.

    `home`: the home with the local broker. With SHOUWANG_KAFKA the broker is another one (`is_local` is False). Then
    SHOUWANG_KAFKA_USERNAME and SHOUWANG_KAFKA_PASSWORD name the user of all processes. The operator puts one password
    file per service into the folder SHOUWANG_KAFKA_SECRETS. `shouwang kafka grant` sets these passwords at the broker.
    """

    def __init__(self, home: Path, address: str) -> None:
        self.address = address
        self.is_local = "SHOUWANG_KAFKA" not in os.environ
        given = None if self.is_local else Settings().kafka_secrets
        self.folder = given or home / "keys" / "kafka"

    def file(self, user: str) -> Path:
        """The file with the password of one of the platform's own users."""
        return self.folder / user

    @property
    def authority(self) -> Path | None:
        """The certificate (PEM) that the local broker's certificate is checked with; None without TLS."""
        file = self.folder / "tls" / "ca.pem"
        return file if self.is_local and file.exists() else None

    @property
    def is_foreign_with_tls(self) -> bool:
        """Whether the broker is another one and its connections are encrypted."""
        given = Settings()
        return not self.is_local and given.kafka_username is not None and given.kafka_tls

    def encrypt(self) -> None:
        """Let the local broker use TLS from its next start on, with a new authority of this home."""
        make_certificates(self.folder / "tls")

    def make_passwords(self) -> None:
        """Create the missing passwords of the local broker's users."""
        for user in (BROKER, *own_users()):
            if not self.file(user).exists():
                write_atomically(self.file(user), new_password())

    def password(self, user: str) -> str:
        """The password of one of the platform's own users. Raises LocalProblem if it has none."""
        try:
            return self.file(user).read_text(encoding="utf-8").strip()
        except FileNotFoundError as missing:
            raise LocalProblem(f"Kafka's user {user} has no password yet: run `shouwang up`.") from missing

    def settings(self, user: str, password: str | None = None) -> Settings:
        """Return the settings to connect as `user` to the local broker. `password`: only for a source or a provider.
        Another broker, or one without users, ignores both arguments."""
        if not self.is_local or not self.file(BROKER).exists():  # else: a home whose broker never had users
            return Settings(kafka=self.address)
        file = None if password else self.file(user)
        return Settings(
            kafka=self.address,
            kafka_username=user,
            kafka_password=password,
            kafka_password_file=file,
            kafka_tls=self.authority is not None,
            kafka_ca=self.authority,
        )

    def environment(self, service: str) -> dict[str, str]:
        """The variables of a service's process. Only the name of the file is in them, not the password."""
        if not self.is_local:
            return {}
        found = {
            "SHOUWANG_KAFKA_USERNAME": service,
            "SHOUWANG_KAFKA_PASSWORD_FILE": str(self.file(service)),
            "SHOUWANG_KAFKA_TLS": "1" if self.authority else "0",
        }
        return found | ({"SHOUWANG_KAFKA_CA": str(self.authority)} if self.authority else {})

    def administrator(self) -> dict[str, str]:
        """The settings of librdkafka for the super user. Raises LocalProblem without one.

        The local broker knows this user by its configuration (mechanism PLAIN), and so before any SCRAM user exists.
        """
        settings = self.settings(PROVISION)
        if self.is_local:
            user, password = PROVISION, self.password(PROVISION)
        else:
            user, password = _given_administrator(settings)
        options = {
            "bootstrap.servers": self.address,
            "security.protocol": "SASL_SSL" if settings.kafka_tls else "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN" if self.is_local else settings.kafka_mechanism,
            "sasl.username": user,
            "sasl.password": password,
        }
        return options | ({"ssl.ca.location": str(settings.kafka_ca)} if settings.kafka_ca else {})


def _given_administrator(settings: Settings) -> tuple[str, str]:
    file = settings.kafka_password_file
    password = settings.kafka_password or (file.read_text(encoding="utf-8").strip() if file else None)
    if settings.kafka_username is None or password is None:
        raise LocalProblem(
            "Kafka needs its super user for this: set SHOUWANG_KAFKA_USERNAME and SHOUWANG_KAFKA_PASSWORD_FILE."
        )
    return settings.kafka_username, password
