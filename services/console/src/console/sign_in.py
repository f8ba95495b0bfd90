"""Sign in with a token, and sign out."""

from html import escape
from typing import Final
from urllib.parse import parse_qs

from common.errors import NotAllowed, ServiceError, Unauthenticated
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell.access.route_marks import limits_body, needs_no_credential

from console.page import render
from console.session import COOKIE, caller_of

LOGIN_BYTES_MAX: Final = 16_384
_NOT_ALLOWED: Final = {"area_required": "该令牌未指定辖区，不能使用本页面"}
_OTHER_ROLE: Final = "该令牌的角色不能使用本页面"
router = APIRouter(include_in_schema=False)


@router.get("/login")
@needs_no_credential
async def show_login() -> HTMLResponse:
    return HTMLResponse(render("login.html", problem=""))


@router.post("/login")
@needs_no_credential
@limits_body(LOGIN_BYTES_MAX)
async def sign_in(request: Request) -> Response:
    """Sign in with a form with one field, `token`, and keep the token in a cookie. SameSite=Strict keeps other sites
    from using the cookie."""
    token = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0].strip()
    try:
        caller_of(token)
    except (Unauthenticated, NotAllowed) as error:
        return HTMLResponse(render("login.html", problem=escape(_problem(error))), status_code=error.status)
    answer = RedirectResponse("/", status_code=303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


def _problem(error: ServiceError) -> str:
    if isinstance(error, Unauthenticated):
        return "令牌无效或已过期"
    return _NOT_ALLOWED.get(error.code, _OTHER_ROLE)


@router.post("/logout")
@needs_no_credential
async def sign_out() -> Response:
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer
