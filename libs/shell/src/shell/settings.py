"""The settings that all services share: environment variables with the prefix SHOUWANG_, defaults for one machine.

A service with settings of its own has a module `settings.py`. Besides these, only `shell.faults` (planned crashes) and
the helpers of tests and tools read the environment.
`make contracts` writes all of them to docs/operations.md: the description of each field is its line there.
"""

from functools import cache, lru_cache
from os import environ
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "SHOUWANG_"
_PATH_VARIABLES: Final = ("SHOUWANG_ROOT", "SHOUWANG_HOME", "SHOUWANG_KEYS", "SHOUWANG_ISSUERS", "SHOUWANG_ACCESS")


class PathSettings(BaseSettings):
    """Files and folders."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    root: Path | None = Field(
        default=None, description="folder that holds `contracts/`; if empty, it is searched upwards from the code"
    )
    home: Path | None = Field(
        default=None,
        description="folder of keys, clock and spooled files; if empty, `.shouwang` in the folder of `contracts/`",
    )
    keys: Path | None = Field(
        default=None, description="file of the vault's keys; if empty, `keys/vault.json` in the home"
    )
    issuers: Path | None = Field(
        default=None,
        description="file of the accepted issuers of tokens (docs/access.md); if empty, the local issuer in the home",
    )
    access: Path | None = Field(
        default=None, description="file of the read budgets per role; if empty, `contracts/access.yaml`"
    )


class StoreSettings(BaseSettings):
    """Kafka, tracing, modes and batches."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    kafka: str = Field(default="127.0.0.1:9092", description="bootstrap servers, separated by commas")
    kafka_username: str | None = Field(
        default=None, description="user of this process; without one, Kafka is not authenticated"
    )
    kafka_password: str | None = Field(default=None, description="password of the user")
    kafka_password_file: Path | None = Field(
        default=None, description="file of the password, read for each new client; used without `KAFKA_PASSWORD`"
    )
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="SASL mechanism; `PLAIN` is for the super user of a new broker"
    )
    kafka_secrets: Path | None = Field(
        default=None,
        description="folder with one password file per service, for `shouwang kafka grant` on another Kafka",
    )
    kafka_tls: bool = Field(default=True, description="whether the authenticated connection is encrypted")
    kafka_ca: Path | None = Field(
        default=None, description="file of the authority (PEM) that signs Kafka's certificates; if empty, the system's"
    )
    kafka_cluster: bool = Field(
        default=False, description="Kafka is a cluster: topics get `partitions` and three replicas"
    )
    otlp_endpoint: str | None = Field(
        default=None, description="URL of an OTLP collector; without one, no trace is recorded"
    )
    replica: int = Field(default=0, description="number of this replica on one machine; 0 is the first")
    member: str | None = Field(
        default=None, description="static member of the Kafka group; only for a process with a unique name"
    )
    demo: bool = Field(default=False, description="demonstration: examples are paid, and the clock may be moved")
    time_travel: bool = Field(default=False, description="for tests only: the clock may be moved")
    batch_records_max: int = Field(default=2000, description="records that one transaction handles")
    poll_ms: int = Field(default=500, description="longest wait of a consumer for records in one fetch")
    request_keys_kept_days: int = Field(default=30, description="how long a used Idempotency-Key is remembered")


class SessionSettings(BaseSettings):
    """Sessions of PostgreSQL. The relay must stop before the server frees its lock. So its beat, its statement and 10 s
    to stop the producer are together less than its idle limit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    statement_seconds_max: float = Field(default=60, description="longest statement")
    lock_seconds_max: float = Field(default=30, description="longest wait for a lock")
    idle_in_transaction_seconds_max: float = Field(default=120, description="longest silence inside a transaction")
    keepalive_idle_seconds: float = Field(default=10, description="silence after which a connection is probed")
    keepalive_interval_seconds: float = Field(default=5, description="time between two probes")
    keepalive_count: int = Field(default=3, description="unanswered probes after which a connection is dead")
    relay_beat_seconds: float = Field(default=2, description="longest silence of the relay on its connection")
    relay_statement_seconds_max: float = Field(default=15, description="longest statement of the relay")
    relay_idle_seconds_max: float = Field(
        default=30, description="silence after which the server frees the relay's lock"
    )


class WatchdogSettings(BaseSettings):
    """The watchdog, which replaces parts of a process that do not move."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    look_seconds: float = Field(default=5, description="time between two looks at a part")
    stall_seconds: float = Field(
        default=60, description="a consumer or relay with work but without movement is replaced"
    )
    job_seconds_max: float = Field(default=600, description="longest step of a job")
    loop_seconds_max: float = Field(default=120, description="longest time for which the event loop may be blocked")
    replacements_max: int = Field(default=3, description="replacements without movement before the process ends")


class HttpSettings(BaseSettings):
    """Limits of HTTP requests and connections, per process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    body_bytes_max: int = Field(default=65_536, description="largest body of a route that states no number of its own")
    body_seconds_max: float = Field(default=30, description="longest time to receive a body")
    open_body_seconds_max: float = Field(
        default=5, description="longest time to receive a body of a route that needs no credential"
    )
    discard_bytes_max: int = Field(default=64 * 1024**2, description="bytes read of a body that is rejected")
    discard_seconds_max: float = Field(default=10, description="longest time to read a body that is rejected")
    connections_max: int = Field(default=500, description="open connections")
    header_bytes_max: int = Field(default=65_536, description="largest head of a request")
    header_seconds_max: float = Field(default=10, description="longest time to receive the head of a request")
    sign_in_seconds_max: float = Field(default=900, description="age of a sign-in up to which it can approve or reveal")
    write_seconds_max: float = Field(default=30, description="longest time for which a client may not read its answer")


class Settings(HttpSettings, WatchdogSettings, SessionSettings, StoreSettings):
    """The settings that a process reads once."""

    @property
    def moves_clock(self) -> bool:
        """True if business time may differ from real time. Only a demonstration and tests move the clock."""
        return self.demo or self.time_travel

    def database_url(self, service: str) -> str:
        """The URL of the service's own database: SHOUWANG_DATABASE_URL_<SERVICE>."""
        default = f"postgresql://postgres@127.0.0.1:5432/{service}"
        return environ.get(f"SHOUWANG_DATABASE_URL_{service.upper()}", default)


@cache
def settings() -> Settings:
    return Settings()


class Paths(PathSettings):
    """The files and folders of this installation."""

    @property
    def repository(self) -> Path:
        return self.root or _folder_of_contracts()

    @property
    def home_folder(self) -> Path:
        return self.home or self.repository / ".shouwang"

    @property
    def vault_keys(self) -> Path:
        return self.keys or self.home_folder / "keys" / "vault.json"

    @property
    def token_key(self) -> Path:
        return self.home_folder / "keys" / "token.json"

    @property
    def token_jwks(self) -> Path:
        return self.home_folder / "keys" / "token.jwks.json"

    @property
    def clock(self) -> Path:
        return self.home_folder / "clock"

    @property
    def read_budgets(self) -> Path:
        return self.access or self.repository / "contracts" / "access.yaml"


def paths() -> Paths:
    """Return the files and folders of this installation. They are read again when the variables have changed, since a
    tool looks at several installations in one process."""
    return _paths(tuple(environ.get(name) for name in _PATH_VARIABLES))


@lru_cache(maxsize=8)
def _paths(_variables: tuple[str | None, ...]) -> Paths:
    return Paths()


def vault_variables() -> tuple[str | None, str | None]:
    """Return the values of SHOUWANG_KEYS and SHOUWANG_HOME, which name the keys of the vault. The vault is needed for
    each event, and this costs less than `paths`."""
    return environ.get("SHOUWANG_KEYS"), environ.get("SHOUWANG_HOME")


def repository_root() -> Path:
    """The folder that holds `contracts/`."""
    return paths().repository


@cache
def _folder_of_contracts() -> Path:
    return next((parent for parent in Path(__file__).resolve().parents if (parent / "contracts").is_dir()), Path.cwd())
