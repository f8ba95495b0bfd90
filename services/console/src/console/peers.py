"""Call other services with the caller's own token. The called service decides what the caller may see."""

from typing import Any, Final

import httpx
from common.errors import NotAllowed, NotFound, ServiceError, Unauthenticated
from fastapi import Request

from console.session import token_of
from console.settings import peer_url

_REFUSALS: Final[dict[int, type[ServiceError]]] = {401: Unauthenticated, 403: NotAllowed, 404: NotFound}


class PeerAway(ServiceError):
    status, slug = 503, "unavailable"


async def fetch(request: Request, service: str, path: str, **params: Any) -> Any:
    """Return the JSON answer of a service to GET. Raises Unauthenticated, NotAllowed or NotFound if the service
    answered so, and PeerAway for any other answer or none."""
    client: httpx.AsyncClient = request.app.state.peers
    token = await token_of(request)
    try:
        answer = await client.get(
            f"{peer_url(service)}{path}",
            params=params,
            headers={"Authorization": f"Bearer {token}"},
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
