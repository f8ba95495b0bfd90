"""The OpenID provider at which people sign in: authorization code with PKCE, renewal, revocation, notices of sign-outs.

The provider's own description (discovery) names its addresses. All of them must use https, except on this machine.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec
from common.errors import ServiceError
from joserfc import jwt
from joserfc.errors import JoseError
from shell import clock
from shell.access import issuers, token_keys

from console.settings import SessionSettings

ANSWER_BYTES_MAX: Final = 256 * 1024
ANSWER_SECONDS_MAX: Final = 5.0
METADATA_SECONDS_MAX: Final = 3_600.0
LEEWAY_SECONDS: Final = 30
NOTICE_SECONDS_MAX: Final = 300  # age of a notice of a sign-out
LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
_INVALID: Final = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
log = logging.getLogger(__name__)


class IssuerAway(ServiceError):
    status, slug = 503, "unavailable"


class IssuerRefuses(Exception):
    """The issuer does not accept a code or a refresh token, or its answer is not valid."""


class Metadata(msgspec.Struct, frozen=True):
    """The part of the provider's description that the console uses."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str | None = None
    revocation_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Answer(msgspec.Struct, frozen=True):
    """An answer of the token endpoint."""

    access_token: str
    token_type: str
    expires_in: float | None = None
    refresh_token: str | None = None
    id_token: str | None = None


class Notice(msgspec.Struct, frozen=True):
    """A notice of the issuer that a session (`sid`) or all sessions of a user (`subject`) have ended."""

    at: float
    sid: str | None
    subject: str | None


class Issuer:
    """The provider of an entry in the file of issuers. Raises ValueError if a setting is missing."""

    def __init__(self, known: issuers.Issuer, settings: SessionSettings) -> None:
        if settings.client_id is None or settings.url is None:
            raise ValueError("sign-in at an issuer needs SHOUWANG_CONSOLE_CLIENT_ID and SHOUWANG_CONSOLE_URL")
        self.url = known.url
        self.client_id: str = settings.client_id
        self.redirect_uri = f"{settings.url}/login/callback"
        self._after_sign_out = f"{settings.url}/login"
        self._scope = settings.scope
        self._secret = settings.client_secret
        self._algorithms = list(known.algorithms)
        self._keys = token_keys.keys_of(known, _nothing_to_forget)
        verify = ssl.create_default_context(cafile=known.ca) if known.ca else True
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False, verify=verify)
        self._metadata: tuple[float, Metadata] | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def sign_in_url(self, state: str, nonce: str, challenge: str, again: bool) -> str:
        """Return the address at which the user signs in. `again`: also if the user has a session there."""
        metadata = await self.metadata()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self._scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if again:
            asked["prompt"] = "login"
        mark = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{mark}{urlencode(asked)}"

    async def exchange(self, code: str, verifier: str) -> Answer:
        """Return the tokens for a code. Raises IssuerRefuses and IssuerAway."""
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri}
        return await self._ask({**asked, "code_verifier": verifier})

    async def refresh(self, refresh_token: str) -> Answer:
        """Return the next tokens. Raises IssuerRefuses if the session is over, and IssuerAway."""
        return await self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def revoke(self, refresh_token: str) -> None:
        """Let the issuer end the refresh token and its access tokens (RFC 7009). A failure is logged."""
        try:
            metadata = await self.metadata()
            if metadata.revocation_endpoint is None:
                return
            form = {"token": refresh_token, "token_type_hint": "refresh_token"}
            status, _ = await self._post(metadata, metadata.revocation_endpoint, form)
        except IssuerAway:
            log.warning("a refresh token was not revoked: the issuer is away")
        else:
            if status != httpx.codes.OK:
                log.warning("a refresh token was not revoked: the issuer answered %s", status)

    async def sign_out_form(self, id_token: str | None) -> tuple[str, dict[str, str]] | None:
        """Return the address at which a user ends the session at the issuer, and the fields of the form to send there.
        A form keeps the token out of addresses. None if the issuer has no such address."""
        end = (await self.metadata()).end_session_endpoint
        if end is None:
            return None
        form = {"client_id": self.client_id, "post_logout_redirect_uri": self._after_sign_out}
        return end, {**form, **({"id_token_hint": id_token} if id_token else {})}

    async def read_id_token(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of an ID token for this sign-in. Raises IssuerRefuses if it is not valid."""
        claims = await asyncio.to_thread(self._read, token)
        try:
            parties = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
            if claims.get("nonce") != nonce:
                raise ValueError("another sign-in")
            if claims.get("azp", self.client_id) != self.client_id or (len(parties) > 1 and "azp" not in claims):
                raise ValueError("another client")
        except _INVALID as error:
            raise IssuerRefuses("the ID token is not valid") from error
        return claims

    async def read_notice(self, token: str) -> Notice:
        """Return what a logout token says (OpenID Connect Back-Channel Logout). Raises IssuerRefuses."""
        claims = await asyncio.to_thread(self._read, token)
        try:
            sid, subject = claims.get("sid"), claims.get("sub")
            if LOGOUT not in claims["events"] or "nonce" in claims or not (sid or subject):
                raise ValueError("no logout token")
            if clock.real_now().timestamp() - claims["iat"] > NOTICE_SECONDS_MAX:
                raise ValueError("the notice is old")
            return msgspec.convert({"at": claims["iat"], "sid": sid, "subject": subject}, Notice)
        except (*_INVALID, msgspec.ValidationError) as error:
            raise IssuerRefuses("the logout token is not valid") from error

    def _read(self, token: str) -> dict[str, Any]:
        """Verify a token of the issuer for this client, and return its claims. It may fetch the issuer's keys."""
        self._keys.refresh()

        def find(signed: Any) -> Any:
            header = signed.headers()
            return self._keys.find(header.get("kid"), header["alg"])

        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock.real_now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.url},
            aud={"essential": True, "value": self.client_id},
            iat={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, find, algorithms=self._algorithms).claims
            registry.validate(claims)
        except _INVALID as error:
            raise IssuerRefuses("a token of the issuer is not valid") from error
        return claims

    async def metadata(self) -> Metadata:
        """Return the provider's description, at most an hour old. Raises IssuerAway."""
        known = self._metadata
        if known is None or monotonic() - known[0] > METADATA_SECONDS_MAX:
            status, content = await self._send("GET", f"{self.url.rstrip('/')}/.well-known/openid-configuration")
            try:
                found = msgspec.json.decode(content, type=Metadata)
            except msgspec.MsgspecError as error:
                log.warning("the issuer describes itself wrongly (HTTP %s)", status)
                raise IssuerAway("the issuer describes itself wrongly") from error
            if found.issuer != self.url or not all(map(issuers.is_safe, _addresses(found))):
                log.warning("the issuer describes another issuer, or an address without https")
                raise IssuerAway("the issuer describes itself wrongly")
            known = self._metadata = (monotonic(), found)
        return known[1]

    async def _ask(self, form: dict[str, str]) -> Answer:
        metadata = await self.metadata()
        status, content = await self._post(metadata, metadata.token_endpoint, form)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
            raise IssuerAway(f"the issuer answered {status}")
        if status != httpx.codes.OK:
            log.warning("the issuer refused %s: %s", form["grant_type"], _error_of(content))
            raise IssuerRefuses(f"the issuer answered {status}")
        try:
            answer = msgspec.json.decode(content, type=Answer)
        except msgspec.MsgspecError as error:
            raise IssuerRefuses("the issuer gave no tokens") from error
        if answer.token_type.lower() != "bearer":
            raise IssuerRefuses("the issuer gave a token of another type")
        return answer

    async def _post(self, metadata: Metadata, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Send a form as this client: with its secret, or with its name alone."""
        if self._secret is None:
            return await self._send("POST", url, {**form, "client_id": self.client_id})
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            given = httpx.BasicAuth(quote_plus(self.client_id), quote_plus(self._secret))
            return await self._send("POST", url, form, given)
        return await self._send("POST", url, {**form, "client_id": self.client_id, "client_secret": self._secret})

    async def _send(
        self, method: str, url: str, form: dict[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> tuple[int, bytes]:
        """Return status and content of an answer. Redirections are not followed."""
        content = bytearray()
        try:
            headers = {"Accept": "application/json"}
            async with self._client.stream(method, url, data=form, auth=auth, headers=headers) as answer:
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > ANSWER_BYTES_MAX:
                        raise IssuerAway("the answer of the issuer is too long")
                return answer.status_code, bytes(content)
        except httpx.HTTPError as error:
            log.warning("the issuer is away: %s", type(error).__name__)
            raise IssuerAway("the issuer is away") from error


def configured(settings: SessionSettings) -> Issuer | None:
    """Return the issuer at which people sign in; None without a client id. Raises ValueError if there is none or more
    than one, and the settings name none of them."""
    if settings.client_id is None:
        return None
    people = [one for one in issuers.issuers().values() if one.kind == "people"]
    chosen = [one for one in people if settings.issuer in (None, one.url)]
    if len(chosen) != 1:
        raise ValueError("SHOUWANG_CONSOLE_ISSUER must name one issuer of people in the file of issuers")
    return Issuer(chosen[0], settings)


def _nothing_to_forget() -> None:
    """The console keeps no verified ID token."""


def _addresses(metadata: Metadata) -> list[str]:
    optional = (metadata.end_session_endpoint, metadata.revocation_endpoint)
    return [metadata.authorization_endpoint, metadata.token_endpoint, *(one for one in optional if one)]


def _error_of(content: bytes) -> str:
    """The error code of RFC 6749 in an answer, for the log."""
    try:
        found = msgspec.json.decode(content, type=dict[str, Any]).get("error")
    except msgspec.MsgspecError:
        return "no error code"
    return found if isinstance(found, str) and found.isascii() and found.replace("_", "").isalnum() else "unknown"
