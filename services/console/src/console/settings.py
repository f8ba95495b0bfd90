"""The settings of the console: the addresses of the services that it asks, sign-in and sessions."""

from functools import cache
from os import environ
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from shell.access import issuers
from shell.settings import paths

PORTS: Final = {"supervision": 8106, "identification": 8102}


class SessionSettings(BaseSettings):
    """Sign-in and sessions."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_CONSOLE_", extra="ignore", env_ignore_empty=True)

    url: str | None = Field(
        default=None,
        description="address that users enter, such as `https://console.example`; needed for sign-in at an issuer; "
        "if empty, the address of the request",
    )
    issuer: str | None = Field(
        default=None, description="URL of the issuer of people; needed if the file of issuers has several"
    )
    client_id: str | None = Field(
        default=None, description="client id of the console at the issuer; without one, nobody signs in there"
    )
    client_secret_file: Path | None = Field(
        default=None, description="file with the secret of the client; if empty, the client is public"
    )
    scope: str = Field(default="openid", description="scopes that the console asks for")
    keys: Path | None = Field(
        default=None,
        description="file of the keys that seal sessions, the same for all replicas; "
        "if empty, `keys/console.json` in the home",
    )
    idle_seconds_max: float = Field(default=1_800, description="longest time without an action of the user")
    session_seconds_max: float = Field(default=36_000, description="longest session")
    token_seconds_max: float = Field(
        default=300, description="longest use of one access token; then the console asks the issuer for the next"
    )

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not issuers.is_safe(url):
            raise ValueError("the address needs https, except on this machine")
        parts = urlsplit(url)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("the address has a scheme, a host and a port only")
        return url.rstrip("/")

    @property
    def keys_file(self) -> Path:
        return self.keys or paths().home_folder / "keys" / "console.json"

    @property
    def client_secret(self) -> str | None:
        return self.client_secret_file.read_text().strip() if self.client_secret_file else None


@cache
def settings() -> SessionSettings:
    return SessionSettings()


def peer_url(service: str) -> str:
    """The base URL of a service: SHOUWANG_URL_<SERVICE>, else its local port."""
    return environ.get(f"SHOUWANG_URL_{service.upper()}", f"http://127.0.0.1:{PORTS[service]}").rstrip("/")
