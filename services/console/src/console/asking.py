"""Questions to other services with the caller's own token: they decide what the caller may see."""

from typing import Any

import httpx
from common.errors import NotAllowed, NotFound, ServiceError, Unauthenticated
from fastapi import Request

from console.session import token_of
from console.settings import peer_url


class PeerAway(ServiceError):
    status, slug = 503, "unavailable"


async def ask(request: Request, service: str, path: str, **params: Any) -> Any:
    """The JSON answer. Raises what the service refused with, or PeerAway."""
    client: httpx.AsyncClient = request.app.state.peers
    try:
        answer = await client.get(
            f"{peer_url(service)}{path}",
            params=params,
            headers={"Authorization": f"Bearer {token_of(request)}"},
        )
    except httpx.HTTPError as error:
        raise PeerAway(f"{service} is away") from error
    refusals = {401: Unauthenticated, 403: NotAllowed, 404: NotFound}
    if answer.status_code in refusals:
        raise refusals[answer.status_code](f"{service} refused")
    if answer.status_code != 200:
        raise PeerAway(f"{service} answered {answer.status_code}")
    return answer.json()
