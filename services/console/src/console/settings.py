"""The settings of the console: the addresses of the services that it asks."""

from os import environ
from typing import Final

PORTS: Final = {"supervision": 8106, "identification": 8102}


def peer_url(service: str) -> str:
    """The base URL of a service: SHOUWANG_URL_<SERVICE>, else its local port."""
    return environ.get(f"SHOUWANG_URL_{service.upper()}", f"http://127.0.0.1:{PORTS[service]}").rstrip("/")
