"""Where things are. Environment variables with the prefix SHOUWANG_, defaults for one machine."""

from functools import cache
from os import environ
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


def repository_root() -> Path:
    """The folder that holds `contracts/` (SHOUWANG_ROOT, or found upwards from this file)."""
    if root := environ.get("SHOUWANG_ROOT"):
        return Path(root)
    return next((parent for parent in Path(__file__).resolve().parents if (parent / "contracts").is_dir()), Path.cwd())


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    kafka: str = "127.0.0.1:9092"
    kafka_username: str | None = None
    kafka_password: str | None = None
    kafka_tls: bool = True
    home: Path = repository_root() / ".shouwang"
    replica: int = 0
    request_keys_kept_days: int = 30  # how long a used Idempotency-Key is remembered
    member: str | None = None  # static group membership; only for a process whose name no other one bears
    demo: bool = False  # a demonstration: examples are paid, example deviations count, the clock may be moved
    time_travel: bool = False  # for tests only: the clock may be moved, and nothing else of a demonstration
    batch_records_max: int = 2000
    poll_ms: int = 500
    otlp_endpoint: str | None = None

    # Sessions of PostgreSQL (shell.store.sessions), in seconds.
    statement_seconds_max: float = 60
    lock_seconds_max: float = 30
    idle_in_transaction_seconds_max: float = 120
    keepalive_idle_seconds: float = 10
    keepalive_interval_seconds: float = 5
    keepalive_count: int = 3
    # The relay must have given up before the server frees its lock: beat + statement + 10 s to stop the producer.
    relay_beat_seconds: float = 2
    relay_statement_seconds_max: float = 15
    relay_idle_seconds_max: float = 30

    # The watchdog (shell.watchdog), in seconds.
    look_seconds: float = 5
    stall_seconds: float = 60
    job_seconds_max: float = 600
    loop_seconds_max: float = 120
    replacements_max: int = 3

    # Bodies (shell.http.body_guard). A route may state a number of bytes of its own.
    body_bytes_max: int = 65_536
    body_seconds_max: float = 30
    open_body_seconds_max: float = 5  # of a route that needs no credential
    discard_bytes_max: int = 64 * 1024**2
    discard_seconds_max: float = 10
    # Connections (shell.http.connections), per process.
    connections_max: int = 500
    header_bytes_max: int = 65_536
    header_seconds_max: float = 10
    write_seconds_max: float = 30

    @property
    def moves_clock(self) -> bool:
        """True if business time may differ from real time. Only a demonstration and tests move the clock."""
        return self.demo or self.time_travel

    def database_url(self, service: str) -> str:
        default = f"postgresql://postgres@127.0.0.1:5432/{service}"
        return environ.get(f"SHOUWANG_DATABASE_URL_{service.upper()}", default)


@cache
def settings() -> Settings:
    return Settings()
