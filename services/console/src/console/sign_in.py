"""Sign in at the issuer of people, or with a local token where the local issuer counts."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from html import escape
from secrets import token_urlsafe
from typing import Annotated, Final

from common.errors import NotAllowed, ServiceError, Unauthenticated
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell import clock
from shell.access.route_marks import limits_body, needs_no_credential

from console import cookies, forms, session
from console.forms import VISIT, Pending, Visit
from console.issuer import Answer, Issuer, IssuerAway, IssuerRefuses
from console.page import render
from console.tokens import Tokens, tokens_of

LOGIN_BYTES_MAX: Final = 16_384
SIGN_IN_SECONDS_MAX: Final = 600
PARAMETER_MAX: Final = 4_096
_NOT_ALLOWED: Final = {
    "area_required": "账号未指定辖区，请联系管理员",
    "no_role": "账号没有本平台的角色，请联系管理员",
    "several_roles": "账号有多个角色，请联系管理员只保留一个",
    "user_required": "账号未登记到工作人员本人，请联系管理员",
}
_OTHER_ROLE: Final = "账号的角色不能使用本页面，请换一个账号"
_WRONG_TOKEN: Final = "令牌无效或已过期"
_NOT_FINISHED: Final = "登录未完成，请重新登录"
_DECLINED: Final = "统一身份认证平台没有同意登录"
_ISSUER_AWAY: Final = "统一身份认证平台暂时无法访问，请稍后再试"
_UNUSABLE: Final = "统一身份认证平台签发的令牌不能用于本平台，请联系管理员"
_TOO_LONG: Final = "账号的令牌过长，不能登录，请联系管理员"
_EXPIRED: Final = "页面已失效，请重新登录"
router = APIRouter(include_in_schema=False)
Parameter = Annotated[str, Query(max_length=PARAMETER_MAX)]


def login_page(request: Request, problem: str = "", status: int = 200) -> HTMLResponse:
    """Return the sign-in page with the ways to sign in that exist here, and a problem in Chinese."""
    visit = forms.visit_of(request)
    parts = []
    if request.app.state.issuer is not None:
        parts.append(render("login-issuer.html", again="?again=1" if problem else ""))
    if request.app.state.local_tokens:
        parts.append(render("login-token.html", form=escape(visit.form)))
    page = render("login.html", problem=escape(problem), ways="\n".join(parts))
    return HTMLResponse(page, status_code=status)


async def on_form_expired(request: Request, error: Exception) -> Response:
    """The answer to a form that is no longer valid: the sign-in page."""
    return login_page(request, _EXPIRED, status=403)


@router.get("/login")
@needs_no_credential
async def show_login(request: Request) -> Response:
    return login_page(request)


@router.post("/login")
@needs_no_credential
@limits_body(LOGIN_BYTES_MAX)
async def sign_in(request: Request) -> Response:
    """Sign in with a form whose field `token` holds a local token."""
    if not request.app.state.local_tokens:
        raise NotAllowed("sign in at the issuer", code="no_local_tokens")
    token = (await forms.fields(request)).get("token", "").strip()
    try:
        caller = await session.caller_of(token)
    except (Unauthenticated, NotAllowed) as error:
        return login_page(request, _problem(error), status=error.status)
    return _opened(request, Tokens(token, used_until=caller.expires_at or 0.0))


@router.get("/login/start")
@needs_no_credential
async def start_sign_in(request: Request, again: bool = False) -> Response:
    """Send the user to the issuer. `again`: the user signs in there again, for example under another account."""
    issuer = _issuer(request)
    now = clock.real_now().timestamp()
    pending = Pending(token_urlsafe(24), token_urlsafe(24), token_urlsafe(48), now + SIGN_IN_SECONDS_MAX)
    challenge = urlsafe_b64encode(sha256(pending.verifier.encode()).digest()).decode().rstrip("=")
    try:
        url = await issuer.sign_in_url(pending.state, pending.nonce, challenge, again)
    except IssuerAway:
        return login_page(request, _ISSUER_AWAY, status=503)
    cookies.keep(request, VISIT, Visit(forms.visit_of(request).form, pending))
    return RedirectResponse(url, status_code=303)


@router.get("/login/callback")
@needs_no_credential
async def finish_sign_in(
    request: Request, code: Parameter = "", state: Parameter = "", iss: Parameter = "", error: Parameter = ""
) -> Response:
    """Take the code that the issuer gave to the user, exchange it for tokens, and begin a session."""
    issuer = _issuer(request)
    visit = forms.visit_of(request)
    pending = visit.pending
    cookies.keep(request, VISIT, Visit(visit.form))
    if pending is None or not compare_digest(pending.state.encode(), state.encode()):
        return login_page(request, _NOT_FINISHED, status=400)
    if clock.real_now().timestamp() > pending.until or iss not in ("", issuer.url):
        return login_page(request, _NOT_FINISHED, status=400)
    if error or not code:
        return login_page(request, _DECLINED, status=403)
    try:
        answer = await issuer.exchange(code, pending.verifier)
        claims = await issuer.read_id_token(answer.id_token or "", pending.nonce)
    except IssuerRefuses:
        return login_page(request, _NOT_FINISHED, status=400)
    except IssuerAway:
        return login_page(request, _ISSUER_AWAY, status=503)
    return await _admit(request, issuer, answer, str(claims.get("sub", "")), claims.get("sid"))


async def _admit(request: Request, issuer: Issuer, answer: Answer, subject: str, sid: str | None) -> Response:
    """Begin the session if the account may use the console; else let the issuer end the tokens."""
    try:
        await session.caller_of(answer.access_token)
        return _opened(request, tokens_of(answer), subject, sid)
    except (Unauthenticated, NotAllowed) as error:
        refused = login_page(request, _problem(error, _UNUSABLE), status=403)
    except ValueError:
        refused = login_page(request, _TOO_LONG, status=403)
    if answer.refresh_token:
        await issuer.revoke(answer.refresh_token)
    return refused


def _opened(request: Request, tokens: Tokens, subject: str | None = None, sid: str | None = None) -> Response:
    session.end(request, session.stored(request))  # a new session has a new id
    session.begin(request, tokens, subject, sid)
    cookies.drop(request, VISIT)
    return RedirectResponse("/", status_code=303)


def _issuer(request: Request) -> Issuer:
    found: Issuer | None = request.app.state.issuer
    if found is None:
        raise NotAllowed("nobody signs in at an issuer here", code="no_issuer")
    return found


def _problem(error: ServiceError, invalid: str = _WRONG_TOKEN) -> str:
    if isinstance(error, Unauthenticated):
        return invalid
    return _NOT_ALLOWED.get(error.code, _OTHER_ROLE)
