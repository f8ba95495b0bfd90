"""The check of every request that changes something: it comes from a page of this console.

The browser states the origin of the page. Its form contains a token that only this console can have written: it is in
the sealed session, or for a user without a session in the sealed cookie of the sign-in page.
"""

from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final
from urllib.parse import parse_qs

import msgspec
from common.errors import NotAllowed
from fastapi import Request

from console import cookies, session

VISIT: Final = "visit"
FIELD: Final = "form"
_READS_ONLY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Called by the issuer's server: the signed token in the body is the credential.
CALLED_BY_SERVERS: Final = frozenset({"/logout/backchannel"})


class Pending(msgspec.Struct, frozen=True):
    """A sign-in that has begun at the issuer. `until`: seconds since 1970, real time."""

    state: str
    nonce: str
    verifier: str
    until: float


class Visit(msgspec.Struct, frozen=True):
    """A browser on the sign-in page. `form`: the token that its form contains."""

    form: str
    pending: Pending | None = None


class FormExpired(NotAllowed):
    """The form does not belong to the session of this browser, for example because the session is over."""

    def __init__(self) -> None:
        super().__init__("the page is no longer valid; open it again", code="form_expired")


def visit_of(request: Request) -> Visit:
    """Return the visit of this browser; a new one, given to the browser, if it has none."""
    found: Visit | None = cookies.read(request, VISIT, Visit)
    if found is None:
        found = Visit(token_urlsafe(16))
        cookies.keep(request, VISIT, found)
    return found


async def own_page(request: Request) -> None:
    """Raise NotAllowed (`foreign_origin`, `form_expired`) if a request that may change something does not come from a
    page of this console. A dependency of all routes."""
    if request.method in _READS_ONLY or request.url.path in CALLED_BY_SERVERS:
        return
    if request.headers.get("origin") != cookies.origin_of(request):
        raise NotAllowed("the request comes from another site", code="foreign_origin")
    given = (await fields(request)).get(FIELD, "")
    if not any(compare_digest(given.encode(), known.encode()) for known in _known(request)):
        raise FormExpired


def _known(request: Request) -> list[str]:
    found = session.stored(request)
    visit: Visit | None = cookies.read(request, VISIT, Visit)
    return [one.form for one in (found, visit) if one is not None]


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that occurs several times, the first value."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return _first_values(body)
    except ValueError:  # too many fields
        return {}


def _first_values(body: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(body, max_num_fields=20).items()}
