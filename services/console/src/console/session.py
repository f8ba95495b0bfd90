"""Find the caller at the screen by the token, which is in the Authorization header or in a cookie that scripts cannot
read."""

from html import escape
from typing import Annotated, Final

from common.codes import divisions
from common.errors import NotAllowed, Unauthenticated
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell.access.auth import Caller, read_token
from shell.access.route_marks import checks_credential
from shell.access.scopes import Areas, Everything, scope_of

from console.domain.names import ROLES
from console.page import render

COOKIE: Final = "shouwang_token"


def token_of(request: Request) -> str:
    """Return the token of the request. Raises Unauthenticated without one."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    token = given.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    if not token:
        raise Unauthenticated("sign in first")
    return token


def caller_of(token: str) -> Caller:
    """Return the caller of a token. Raises Unauthenticated for an invalid token, and NotAllowed for a token whose role
    has no console or needs an area that is missing."""
    caller = read_token(token)
    if caller.role not in ROLES:
        raise NotAllowed(f"the role {caller.role} has no console")
    scope_of(caller)  # raises NotAllowed for a token without an area
    return caller


def viewer(request: Request) -> Caller:
    return caller_of(token_of(request))


async def signed_in(request: Request) -> Caller:
    """`viewer` as the dependency of a route."""
    return viewer(request)


Viewer = Annotated[Caller, Depends(checks_credential(signed_in))]


def area_of(caller: Caller) -> str:
    """Return the code of the caller's area; the nation's for a caller who sees everything.

    Raises NotAllowed for another scope.
    """
    match scope_of(caller):
        case Areas(division):
            return division
        case Everything():
            return divisions.NATION
        case _:
            raise NotAllowed("your role sees no area")


def area_name(caller: Caller) -> str:
    area = area_of(caller)
    return "全部地区" if area == divisions.NATION else divisions.name(area) or area


def signed_in_page(request: Request, template: str) -> Response:
    """Return the page with the caller's area and role. A caller whom `caller_of` refuses, or without a token, is sent
    to the sign-in page."""
    try:
        caller = viewer(request)
    except (Unauthenticated, NotAllowed):
        return RedirectResponse("/login", status_code=303)
    return HTMLResponse(render(template, area=escape(area_name(caller)), role=escape(ROLES[caller.role])))
