"""Calls to other services with the caller's own token. They decide what the caller may see."""

import os
from typing import Any, Final

import httpx
from common.errors import NotAllowed, NotFound, ServiceError, Unauthenticated
from fastapi import Request

from console.session import token_of

PORTS: Final = {"supervision": 8106, "identification": 8102}


_REFUSALS: Final[dict[int, type[ServiceError]]] = {401: Unauthenticated, 403: NotAllowed, 404: NotFound}


class PeerAway(ServiceError):
    status, slug = 503, "unavailable"


def peer_url(service: str) -> str:
    return os.environ.get(f"SHOUWANG_URL_{service.upper()}", f"http://127.0.0.1:{PORTS[service]}").rstrip("/")


async def fetch(request: Request, service: str, path: str, **params: Any) -> Any:
    """The JSON answer. Raises Unauthenticated, NotAllowed or NotFound as the service answered, else PeerAway."""
    client: httpx.AsyncClient = request.app.state.peers
    try:
        answer = await client.get(
            f"{peer_url(service)}{path}",
            params=params,
            headers={"Authorization": f"Bearer {token_of(request)}"},
        )
    except httpx.HTTPError as error:
        raise PeerAway(f"{service} is away") from error
    if answer.status_code != 200:
        raise _problem(service, answer.status_code)
    return answer.json()


def _problem(service: str, status: int) -> ServiceError:
    if status in _REFUSALS:
        return _REFUSALS[status](f"{service} refused")
    return PeerAway(f"{service} answered {status}")
