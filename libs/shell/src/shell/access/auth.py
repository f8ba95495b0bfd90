"""Verify tokens, which name the caller: JWTs with the algorithms, audience and claims of their issuer.

`require` refuses a request without a valid token, with another role, or without a scope (`shell.access.scopes`).
`require_fresh` also refuses a caller who signed in too long ago. A token of any issuer is valid for at most 24 hours.
`shell.access.issuers` describes the issuers, `shell.access.token_keys` reads their keys.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Annotated, Any, Final

from common.errors import NotAllowed, Unauthenticated
from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError

from shell import clock
from shell.access import issuers, token_keys
from shell.access.issuers import AUDIENCE, SEPARATOR, Issuer, Place, claim
from shell.access.local_issuer import issue_token
from shell.access.route_marks import checks_credential
from shell.access.scopes import GIVEN_ROLES, ROLES, Caller, Role, scope_of
from shell.settings import settings

LEEWAY_SECONDS: Final = 30
TOKEN_SECONDS_MAX: Final = 24 * 3600
TOKEN_CHARS_MAX: Final = 16_384
CLAIM_CHARS_MAX: Final = 255
# An access token has one of these types, if it states one. So an id token or a logout token opens nothing.
ACCESS_TYPES: Final = (None, "JWT", "at+jwt", "application/at+jwt")
PAYLOAD_TYPES: Final = (None, "Bearer")
_OTHER_KINDS: Final = ("nonce", "at_hash", "c_hash", "events")
_KNOWN_MAX: Final = 1_000
# joserfc raises TypeError and similar errors for a header with parameters of a wrong type.
_INVALID: Final = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
_READERS: Final = ThreadPoolExecutor(2, thread_name_prefix="token-keys")


class _Verified:
    """The callers of verified tokens, by token. New keys replace the dictionary, so a verification in progress by old
    keys fills the old one."""

    def __init__(self) -> None:
        self.callers: dict[str, tuple[Caller, token_keys.KeySource]] = {}

    def forget(self) -> None:
        self.callers = {}


_verified = _Verified()


def forget() -> None:
    """Verify every token anew. For tests."""
    _verified.forget()


def read_token(token: str) -> Caller:
    """Verify a token and return the caller whom it names.

    Raises Unauthenticated for an invalid token, NotAllowed for a valid one without a role (`no_role`,
    `several_roles`) or user (`user_required`), and Unavailable if the keys of its issuer could never be read. A token
    that was verified before is not verified again until it expires or keys change.
    """
    caller = _known(token)
    if caller is not None:
        return caller
    issuer = _issuer_of(token)
    known = _verified.callers
    keys = token_keys.keys_of(issuer, _verified.forget)
    keys.refresh()
    caller = _verify(token, issuer, keys)
    if len(known) >= _KNOWN_MAX:
        known.clear()
    known[token] = (caller, keys)
    return caller


async def authenticate(token: str) -> Caller:
    """Like `read_token`. A thread waits for an issuer whose keys have to be fetched, so other requests do not."""
    caller = _known(token)
    if caller is not None:
        return caller
    if not token_keys.keys_of(_issuer_of(token), _verified.forget).is_remote:
        return read_token(token)
    return await asyncio.get_running_loop().run_in_executor(_READERS, read_token, token)


def _known(token: str) -> Caller | None:
    """The caller of a token that was verified by keys that are not to be read again yet. It does no I/O."""
    found = _verified.callers.get(token)
    if found is None:
        return None
    caller, keys = found
    is_valid = caller.expires_at is not None and caller.expires_at > clock.real_now().timestamp()
    return caller if is_valid and not keys.is_due() else None


def _issuer_of(token: str) -> Issuer:
    """The issuer that the token names; nothing is verified yet. Raises Unauthenticated for an unknown one."""
    try:
        if len(token) > TOKEN_CHARS_MAX:
            raise ValueError("the token is too long")
        _, payload, _ = token.split(".")
        url = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
        return issuers.issuers()[url]
    except _INVALID as error:
        raise Unauthenticated("the token is not valid") from error


def _verify(token: str, issuer: Issuer, keys: token_keys.KeySource) -> Caller:
    def find(signed: Any) -> Any:
        header = signed.headers()
        return keys.find(header.get("kid"), header["alg"])

    try:
        decoded = jwt.decode(token, find, algorithms=issuer.algorithms)
        claims = decoded.claims
        _registry(issuer.url, issuer.audience).validate(claims)
        _need_access_token(decoded.header, claims)
        if not claims["exp"] - claims["iat"] <= TOKEN_SECONDS_MAX:
            raise ValueError("the token is valid for too long")
        return _caller(issuer, claims)
    except _INVALID as error:
        raise Unauthenticated("the token is not valid") from error


@lru_cache(maxsize=issuers.ISSUERS_MAX + 1)
def _registry(url: str, audience: str) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=lambda: int(clock.real_now().timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": url},
        aud={"essential": True, "value": audience},
        iat={"essential": True},
        exp={"essential": True},
        sub={"essential": True},
    )


def _need_access_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    """Raise ValueError for a signed token of another purpose: an id token or a logout token of the same issuer."""
    is_access = header.get("typ") in ACCESS_TYPES and claims.get("typ") in PAYLOAD_TYPES
    if not is_access or any(name in claims for name in _OTHER_KINDS):
        raise ValueError("the token is no access token")


def _caller(issuer: Issuer, claims: Mapping[str, Any]) -> Caller:
    names = issuer.claims
    account = _text(claims, "sub")
    if account is None:
        raise ValueError("the token names no account")
    subject = account if issuer.is_local else f"{issuer.url}{SEPARATOR}{account}"
    role = _role(issuer, claims)
    person = account if issuer.is_local and role == "resident" else _text(claims, names.person)
    return Caller(
        subject=subject,
        role=role,
        division=_text(claims, names.division),
        source=_text(claims, names.source),
        provider=_text(claims, names.provider),
        person=person,
        expires_at=float(claims["exp"]),
        user=_user(issuer, claims) or subject,
        issuer=issuer.url,
        authenticated_at=_authenticated_at(issuer, claims),
    )


def _role(issuer: Issuer, claims: Mapping[str, Any]) -> Role:
    """The only role in the token that its issuer may give. Raises NotAllowed for none or several."""
    value = claim(claims, issuer.claims.role)
    names = [name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)]
    known: Mapping[str, Role] = issuer.role_names or {role: role for role in issuer.roles}
    found = {known[name] for name in names if name in known}
    if len(found) > 1:
        raise NotAllowed("the token names several roles", code="several_roles")
    if not found:
        raise NotAllowed("the token names no role that its issuer gives", code="no_role")
    return found.pop()


def _user(issuer: Issuer, claims: Mapping[str, Any]) -> str | None:
    """The human behind the account; None if the issuer names no humans. An issuer that does must always name one:
    otherwise a second account without a name would count as another human. Raises NotAllowed."""
    user = _text(claims, issuer.claims.user)
    if issuer.is_local or issuer.claims.user is None:
        return user
    if user is None:
        raise NotAllowed("the token names no user", code="user_required")
    return f"{issuer.users or issuer.url}{SEPARATOR}{user}"


def _authenticated_at(issuer: Issuer, claims: Mapping[str, Any]) -> float | None:
    """When the user signed in. A human's token is often a refreshed one, whose `iat` is no sign-in. So `iat` counts for
    the local issuer and for machines only."""
    found = claim(claims, issuer.claims.authenticated_at)
    if found is None and issuer.kind in ("local", "machines"):
        found = claims["iat"]
    if found is None:
        return None
    if isinstance(found, bool) or not 0 <= found <= clock.real_now().timestamp() + LEEWAY_SECONDS:
        raise ValueError("the time of the sign-in is no past time")
    return float(found)


def _text(claims: Mapping[str, Any], place: Place | None) -> str | None:
    """The text of a claim; None without one. Raises ValueError for another value."""
    found = claim(claims, place)
    if found is None:
        return None
    if not isinstance(found, str) or not 0 < len(found) <= CLAIM_CHARS_MAX or not found.isprintable():
        raise ValueError("a claim is no text")
    return found


class Requirement:
    """A dependency of a route that returns the caller: with a valid token, one of `roles`, a scope and, if `fresh`, a
    recent sign-in.

    Raises Unauthenticated (401), NotAllowed (403, with `code` for another role), and Unavailable like `read_token`."""

    def __init__(self, roles: tuple[Role, ...], code: str | None, *, fresh: bool = False) -> None:
        self.roles = roles
        self.code = code
        self.fresh = fresh

    async def __call__(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed")
        caller = await authenticate(token.strip())
        if caller.role not in self.roles:
            raise NotAllowed(f"the role {caller.role} may not do this", code=self.code)
        scope_of(caller)  # raises if the token lacks a claim that its role needs
        if self.fresh:
            need_fresh(caller)
        return caller


def need_fresh(caller: Caller) -> None:
    """Raise NotAllowed (`sign_in_again`) if the user signed in too long ago, or if the token does not state when."""
    signed_in = caller.authenticated_at
    if signed_in is None or clock.real_now().timestamp() - signed_in > settings().sign_in_seconds_max:
        raise NotAllowed("this needs a recent sign-in: sign in again", code="sign_in_again")


def require(*roles: Role) -> Requirement:
    """A FastAPI dependency that returns a caller with one of `roles` or the role `admin`, and refuses all others:
    `caller: Annotated[Caller, Depends(require("officer", "auditor"))]`."""
    return require_only(*roles, "admin")


def require_only(*roles: Role, code: str | None = None) -> Requirement:
    """Like `require`, but `admin` is refused as well unless it is named. `code`: the code of the answer (403) to other
    roles."""
    return checks_credential(Requirement(tuple(dict.fromkeys(roles)), code))


def require_fresh(*roles: Role) -> Requirement:
    """Like `require_only`, for approvals and reveals: the caller signed in at most `sign_in_seconds_max` ago, else the
    answer is 403 `sign_in_again`."""
    return checks_credential(Requirement(tuple(dict.fromkeys(roles)), None, fresh=True))


AnyCaller = Annotated[Caller, Depends(require(*GIVEN_ROLES))]

__all__ = [
    "AUDIENCE",
    "GIVEN_ROLES",
    "ROLES",
    "AnyCaller",
    "Caller",
    "Requirement",
    "Role",
    "authenticate",
    "issue_token",
    "need_fresh",
    "read_token",
    "require",
    "require_fresh",
    "require_only",
]
