"""Find the caller at the screen: by the Authorization header, or by the session in a sealed cookie.

A session holds the tokens of the issuer. The console asks the issuer for the next access token before the last one
ends, or is `token_seconds_max` old. So a session that the issuer ended is over within this time. A session also ends
when the user does nothing for `idle_seconds_max`. Requests that a page makes by itself do not count as an action.
"""

from html import escape
from secrets import token_urlsafe
from typing import Annotated, Any, Final

import msgspec
from common.codes import divisions
from common.errors import NotAllowed, Unauthenticated
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell import clock
from shell.access.auth import Caller, authenticate
from shell.access.route_marks import checks_credential
from shell.access.scopes import Areas, Everything, scope_of

from console import cookies
from console.domain.names import ROLES
from console.ended_sessions import EndedSessions
from console.page import render
from console.settings import settings
from console.tokens import Renewals, Tokens

SESSION: Final = "session"
ACTION: Final = "action"
ACTION_SECONDS: Final = 60.0  # an action is noted again after this time
_FOUND: Final = "shouwang.console.session"
_BY_ITSELF: Final = "x-made-by-page"


class Session(msgspec.Struct, frozen=True):
    """The session of one user in one browser. Times in seconds since 1970, real time.

    `form`: the token that the forms of its pages contain. `subject` and `sid`: the user and the session at the issuer;
    None for a session by a local token.
    """

    id: str
    form: str
    started_at: float
    tokens: Tokens
    subject: str | None = None
    sid: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Its names in `EndedSessions`."""
        issuer = [("sid", self.sid), ("sub", self.subject)]
        return (f"id:{self.id}", *(f"{kind}:{value}" for kind, value in issuer if value))


class _Action(msgspec.Struct, frozen=True):
    """The last action of the user. It has a cookie of its own, so that an answer with new tokens, on its way at the
    same time, does not undo it."""

    session_id: str
    at: float


def begin(request: Request, tokens: Tokens, subject: str | None = None, sid: str | None = None) -> Session:
    """Begin a session and give it to the browser. Raises ValueError if its tokens are too long."""
    now = clock.real_now().timestamp()
    session = Session(token_urlsafe(16), token_urlsafe(16), now, tokens, subject, sid)
    cookies.keep(request, SESSION, session)
    cookies.keep(request, ACTION, _Action(session.id, now))
    return session


def end(request: Request, session: Session | None) -> None:
    """End the session in this process, and remove it from the browser."""
    if session is not None:
        ended_sessions(request).add(f"id:{session.id}")
    cookies.drop(request, SESSION)
    cookies.drop(request, ACTION)


def stored(request: Request) -> Session | None:
    """Return the session that the browser has sent, valid or not."""
    found: Session | None = cookies.read(request, SESSION, Session)
    return found


def is_over(request: Request, session: Session) -> bool:
    """Whether it has lasted too long, or an end of it is known here."""
    return _is_too_old(session) or ended_sessions(request).has(session.names, session.started_at)


def _is_too_old(session: Session) -> bool:
    return clock.real_now().timestamp() >= session.started_at + settings().session_seconds_max


async def valid(request: Request) -> Session:
    """Return the session of this request, with an access token that may be used.

    Raises Unauthenticated if there is none or it is over, and Unavailable if a new token is needed and the issuer does
    not answer. A session that is over is removed from the browser.
    """
    found: Session | None = request.scope.get(_FOUND)
    if found is not None:
        return found
    session = stored(request)
    if session is None:
        raise Unauthenticated("sign in first")
    if is_over(request, session) or not _note_action(request, session):
        end(request, session)
        raise Unauthenticated("the session is over")
    renewals: Renewals = request.app.state.renewals
    tokens = await renewals.current(session.tokens)
    if tokens is None:
        end(request, session)
        raise Unauthenticated("the session is over at the issuer")
    if tokens != session.tokens:
        session = msgspec.structs.replace(session, tokens=tokens)
        cookies.keep(request, SESSION, session)
    request.scope[_FOUND] = session
    return session


def _note_action(request: Request, session: Session) -> bool:
    """Note the action of the user. Returns False if the last one is missing, too old, or of another session."""
    now = clock.real_now().timestamp()
    last: _Action | None = cookies.read(request, ACTION, _Action)
    if last is None or last.session_id != session.id or now - last.at >= settings().idle_seconds_max:
        return False
    by_itself = _BY_ITSELF in request.headers or "text/event-stream" in request.headers.get("accept", "")
    if not by_itself and now - last.at >= min(ACTION_SECONDS, settings().idle_seconds_max / 10):
        cookies.keep(request, ACTION, _Action(session.id, now))
    return True


def ended_sessions(request: Request) -> EndedSessions:
    found: EndedSessions = request.app.state.ended_sessions
    return found


def bearer_of(request: Request) -> str | None:
    """The token in the Authorization header; None without one."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


async def token_of(request: Request) -> str:
    """Return the token of the request. Raises Unauthenticated without one, and like `valid`."""
    token = bearer_of(request)
    if token is None:
        token = (await valid(request)).tokens.access_token
    if not token:
        raise Unauthenticated("sign in first")
    return token


async def caller_of(token: str) -> Caller:
    """Return the caller of a token. Raises Unauthenticated for an invalid token, and NotAllowed for a token whose role
    has no console or needs an area that is missing."""
    caller = await authenticate(token)
    if caller.role not in ROLES:
        raise NotAllowed(f"the role {caller.role} has no console")
    scope_of(caller)  # raises NotAllowed for a token without an area
    return caller


async def signed_in(request: Request) -> Caller:
    """The caller at the screen, as the dependency of a route."""
    return await caller_of(await token_of(request))


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


async def signed_in_page(request: Request, template: str) -> Response:
    """Return the page with the caller's area and role. A caller whom `caller_of` refuses, or without a session, is sent
    to the sign-in page."""
    try:
        caller = await signed_in(request)
    except (Unauthenticated, NotAllowed):
        return RedirectResponse("/login", status_code=303)
    form = "" if bearer_of(request) is not None else (await valid(request)).form
    values: dict[str, Any] = {"area": area_name(caller), "role": ROLES[caller.role], "form": form}
    return HTMLResponse(render(template, **{name: escape(value) for name, value in values.items()}))
