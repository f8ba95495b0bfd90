"""A small OpenID provider for tests, which does only what the standards say and refuses everything else.

It has one client, the console, with a secret. It demands PKCE (S256) and exact redirect addresses. A code is good once;
a second use is refused. A refresh token is also good once; a second use ends the session. A user signs in by a click
and stays signed in at the provider until the session ends there. `end_sessions` ends it from outside, as an
administrator does.
"""

import contextlib
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus, urlencode

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ALGORITHM: Final = "ES256"
LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
COOKIE: Final = "provider_session"
START_SECONDS_MAX: Final = 20.0


@dataclass
class Account:
    """A user of the provider. `claims`: the facts that its access tokens state."""

    name: str
    claims: dict[str, Any]


@dataclass
class SignIn:
    """A session of a user at the provider, and the tokens that it has given."""

    sid: str
    user: str
    at: int
    refresh_tokens: set[str] = field(default_factory=set)


@dataclass
class OpenIdProvider:
    """The provider and its state. `seen`: GET requests to `authorize`, and requests to `token`, `revoke` and `end`,
    with their parameters. Requests to `token` while it is away are not noted."""

    client_id: str
    client_secret: str
    audience: str
    console: str = ""  # the address of the console
    access_seconds: int = 300
    accounts: dict[str, Account] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "provider-1"}))
    url: str = ""
    is_away: bool = False
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    sessions: dict[str, SignIn] = field(default_factory=dict)
    codes: dict[str, tuple[Mapping[str, str], SignIn]] = field(default_factory=dict)
    live: dict[str, SignIn] = field(default_factory=dict)  # by refresh token
    used: dict[str, SignIn] = field(default_factory=dict)

    def asked(self, what: str) -> list[Mapping[str, str]]:
        return [parameters for name, parameters in self.seen if name == what]

    def sign(self, claims: Mapping[str, Any], **header: str) -> str:
        now = int(time.time())
        known = {"iss": self.url, "iat": now, "exp": now + self.access_seconds, "jti": token_urlsafe(8)}
        return jwt.encode(
            {"alg": ALGORITHM, "kid": str(self.key.kid), **header},
            {**known, **claims},
            self.key,
            algorithms=[ALGORITHM],
        )

    def logout_token(self, session: SignIn, **claims: Any) -> str:
        known = {"aud": self.client_id, "sub": session.user, "sid": session.sid, "events": {LOGOUT: {}}}
        given = {name: value for name, value in {**known, **claims}.items() if value is not None}
        return self.sign(given, typ="logout+jwt")

    def end_sessions(self, user: str, *, tell: bool = False) -> None:
        """End the sessions of a user. `tell`: also tell the console (back-channel logout)."""
        for session in [one for one in self.sessions.values() if one.user == user]:
            self.end(session)
            if tell:
                form = {"logout_token": self.logout_token(session)}
                answer = httpx.post(f"{self.console}/logout/backchannel", data=form, trust_env=False)
                assert answer.status_code == httpx.codes.OK, answer.text

    def end(self, session: SignIn) -> None:
        self.sessions.pop(session.sid, None)
        for token in session.refresh_tokens:
            self.live.pop(token, None)

    def tokens(self, session: SignIn, nonce: str | None) -> dict[str, Any]:
        """The answer of the token endpoint."""
        refresh_token = token_urlsafe(24)
        session.refresh_tokens.add(refresh_token)
        self.live[refresh_token] = session
        about = {"sub": session.user, "sid": session.sid, "auth_time": session.at}
        access = {**about, **self.accounts[session.user].claims, "aud": self.audience}
        identity = {**about, "aud": self.client_id} | ({"nonce": nonce} if nonce else {})
        return {
            "access_token": self.sign(access),
            "id_token": self.sign(identity),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": self.access_seconds,
        }

    def application(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        _describe(app, self)
        _sign_in(app, self)
        _give_tokens(app, self)
        _sign_out(app, self)
        return app


def _describe(app: FastAPI, provider: OpenIdProvider) -> None:
    @app.get("/.well-known/openid-configuration")
    def description() -> dict[str, Any]:
        _need_here(provider)
        return {
            "issuer": provider.url,
            "authorization_endpoint": f"{provider.url}/authorize",
            "token_endpoint": f"{provider.url}/token",
            "revocation_endpoint": f"{provider.url}/revoke",
            "end_session_endpoint": f"{provider.url}/end",
            "jwks_uri": f"{provider.url}/keys",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    @app.get("/keys")
    def keys() -> Any:
        return KeySet([provider.key]).as_dict(private=False)


def _sign_in(app: FastAPI, provider: OpenIdProvider) -> None:
    @app.get("/authorize")
    def ask(request: Request) -> Response:
        asked = dict(request.query_params)
        provider.seen.append(("authorize", asked))
        _need_sound(provider, asked)
        session = provider.sessions.get(request.cookies.get(COOKIE, ""))
        if session is not None and asked.get("prompt") != "login":
            return _answered(provider, asked, session)
        buttons = "".join(
            f'<p><button name="user" value="{escape(name)}">{escape(account.name)}</button></p>'
            for name, account in provider.accounts.items()
        )
        return HTMLResponse(f'<h1>统一身份认证</h1><form method="post" action="?{urlencode(asked)}">{buttons}</form>')

    @app.post("/authorize")
    async def click(request: Request) -> Response:
        session = SignIn(token_urlsafe(12), (await _form(request))["user"], int(time.time()))
        provider.sessions[session.sid] = session
        return _answered(provider, dict(request.query_params), session)


def _need_sound(provider: OpenIdProvider, asked: Mapping[str, str]) -> None:
    """Refuse a request for a code that the standards forbid."""
    _need(asked.get("client_id") == provider.client_id, "another client")
    _need(asked.get("redirect_uri") == f"{provider.console}/login/callback", "another redirect address")
    _need(asked.get("response_type") == "code" and "openid" in asked.get("scope", "").split(), "no code flow")
    _need(asked.get("code_challenge_method") == "S256" and len(asked.get("code_challenge", "")) == 43, "no PKCE")
    _need(len(asked.get("state", "")) >= 16 and len(asked.get("nonce", "")) >= 16, "no state or nonce")


def _answered(provider: OpenIdProvider, asked: Mapping[str, str], session: SignIn) -> Response:
    code = token_urlsafe(24)
    provider.codes[code] = asked, session
    query = urlencode({"code": code, "state": asked["state"], "iss": provider.url})
    answer = RedirectResponse(f"{asked['redirect_uri']}?{query}", status_code=303)
    answer.set_cookie(COOKIE, session.sid, httponly=True, samesite="lax")
    return answer


def _give_tokens(app: FastAPI, provider: OpenIdProvider) -> None:
    @app.post("/token")
    async def token(request: Request) -> Response:
        _need_here(provider)
        form = await _form(request)
        provider.seen.append(("token", form))
        if not _is_client(request, provider):
            return JSONResponse({"error": "invalid_client"}, 401)
        given = _by_code(provider, form) if form["grant_type"] == "authorization_code" else _by_refresh(provider, form)
        return JSONResponse({"error": "invalid_grant"}, 400) if given is None else JSONResponse(given)

    @app.post("/revoke")
    async def revoke(request: Request) -> Response:
        form = await _form(request)
        provider.seen.append(("revoke", form))
        if not _is_client(request, provider):
            return JSONResponse({"error": "invalid_client"}, 401)
        session = provider.live.get(form["token"])
        for one in session.refresh_tokens if session else ():
            provider.live.pop(one, None)
        return Response()


def _by_code(provider: OpenIdProvider, form: Mapping[str, str]) -> dict[str, Any] | None:
    asked, session = provider.codes.pop(form["code"], ({}, None))
    challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
    if session is None or form.get("redirect_uri") != asked["redirect_uri"] or challenge != asked["code_challenge"]:
        return None
    return provider.tokens(session, asked["nonce"])


def _by_refresh(provider: OpenIdProvider, form: Mapping[str, str]) -> dict[str, Any] | None:
    session = provider.live.pop(form["refresh_token"], None)
    if session is None:
        if stolen := provider.used.get(form["refresh_token"]):
            provider.end(stolen)
        return None
    provider.used[form["refresh_token"]] = session
    return provider.tokens(session, None)


def _sign_out(app: FastAPI, provider: OpenIdProvider) -> None:
    @app.post("/end")
    async def end(request: Request) -> Response:
        form = await _form(request)
        provider.seen.append(("end", form))
        claims = jwt.decode(form["id_token_hint"], provider.key, algorithms=[ALGORITHM]).claims
        _need(claims["aud"] == form["client_id"] == provider.client_id, "another client")
        _need(form["post_logout_redirect_uri"] == f"{provider.console}/login", "another address")
        session = provider.sessions.get(claims["sid"])
        if session is not None:
            provider.end(session)
        return RedirectResponse(form["post_logout_redirect_uri"], status_code=303)


def _is_client(request: Request, provider: OpenIdProvider) -> bool:
    given = b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
    name, _, secret = (unquote_plus(part) for part in given.partition(":"))  # RFC 6749, 2.3.1
    return (name, secret) == (provider.client_id, provider.client_secret)


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


def _need(holds: bool, why: str) -> None:
    if not holds:
        raise HTTPException(400, why)


def _need_here(provider: OpenIdProvider) -> None:
    if provider.is_away:
        raise HTTPException(503, "away")


@contextlib.contextmanager
def running(provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    """Serve the provider at a free port of this machine, in a thread."""
    config = uvicorn.Config(
        provider.application(), host="127.0.0.1", port=0, log_level="error", ws="none", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="openid-provider", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS_MAX
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    provider.url = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(START_SECONDS_MAX)


__all__ = ["Account", "OpenIdProvider", "SignIn", "running"]
