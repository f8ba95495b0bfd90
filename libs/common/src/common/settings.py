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
    demo: bool = False  # a demonstration: examples are paid, example deviations count, the clock may be moved
    time_travel: bool = False  # for tests only: the clock may be moved, and nothing else of a demonstration
    batch_records_max: int = 2000
    poll_ms: int = 500
    otlp_endpoint: str | None = None

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
