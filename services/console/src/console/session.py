"""Who sits at the screen: a token typed in once, kept in a cookie that scripts cannot read."""

from html import escape
from typing import Annotated, Final
from urllib.parse import parse_qs

from common.codes import divisions
from common.errors import NotAllowed, Unauthenticated
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell.access.auth import Caller, read_token
from shell.access.route_marks import checks_credential, limits_body, needs_no_credential
from shell.access.scopes import Areas, Everything, scope_of

from console.names import ROLES
from console.page import render

COOKIE: Final = "shouwang_token"
LOGIN_BYTES_MAX: Final = 16_384
_REFUSED: Final = {"area_required": "该令牌未指定辖区，不能使用本页面"}
_OTHER_ROLE: Final = "该令牌的角色不能使用本页面"
router = APIRouter(include_in_schema=False)


def token_of(request: Request) -> str:
    """Raises Unauthenticated."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    token = given.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    if not token:
        raise Unauthenticated("sign in first")
    return token


def caller_of(token: str) -> Caller:
    """Raises Unauthenticated, NotAllowed."""
    caller = read_token(token)
    if caller.role not in ROLES:
        raise NotAllowed(f"the role {caller.role} has no console")
    scope_of(caller)  # refuses a token that names no area
    return caller


def viewer(request: Request) -> Caller:
    return caller_of(token_of(request))


async def signed_in(request: Request) -> Caller:
    """The same as a dependency of a route."""
    return viewer(request)


Viewer = Annotated[Caller, Depends(checks_credential(signed_in))]


def area_of(caller: Caller) -> str:
    """The code of the caller's area; the nation's for a caller who sees everything."""
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


@router.get("/login")
@needs_no_credential
async def show_login() -> HTMLResponse:
    return HTMLResponse(render("login.html", problem=""))


@router.post("/login")
@needs_no_credential
@limits_body(LOGIN_BYTES_MAX)
async def sign_in(request: Request) -> Response:
    """A form with one field, `token`. SameSite=Strict keeps other sites from using what it sets."""
    token = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0].strip()
    try:
        caller_of(token)
    except (Unauthenticated, NotAllowed) as error:
        words = "令牌无效或已过期" if isinstance(error, Unauthenticated) else _REFUSED.get(error.code, _OTHER_ROLE)
        return HTMLResponse(render("login.html", problem=escape(words)), status_code=error.status)
    answer = RedirectResponse("/", status_code=303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@router.post("/logout")
@needs_no_credential
async def sign_out() -> Response:
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer


@router.get("/")
@needs_no_credential
async def show_chain(request: Request) -> Response:
    """The one page; who has no valid token is sent to the sign-in page."""
    try:
        caller = viewer(request)
    except (Unauthenticated, NotAllowed):
        return RedirectResponse("/login", status_code=303)
    return HTMLResponse(render("chain.html", area=escape(area_name(caller)), role=escape(ROLES[caller.role])))
