"""Issue and verify tokens, which name the caller: JWTs with a fixed algorithm, issuer and audience.

`require` refuses a request without a valid token, with another role, or without a scope (`shell.access.scopes`).
A token of any issuer is valid for at most 24 hours. The keys are in `shell.access.token_keys`.
"""

from typing import Annotated, Any, Final

from common.errors import NotAllowed, Unauthenticated
from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError

from shell import clock
from shell.access import token_keys
from shell.access.route_marks import checks_credential
from shell.access.scopes import GIVEN_ROLES, ROLES, Caller, Role, scope_of

ISSUER: Final = "shouwang"
AUDIENCE: Final = "shouwang"
ALGORITHMS: Final = ["ES256"]
LEEWAY_SECONDS: Final = 30
TOKEN_SECONDS_MAX: Final = 24 * 3600


def issue_token(
    role: Role,
    *,
    subject: str | None = None,
    user: str | None = None,
    division: str | None = None,
    source: str | None = None,
    provider: str | None = None,
    hours: float = 8,
) -> str:
    """Return a token signed by the local key, valid for `hours` (at most 24, real time).

    `subject`: the account (default `local-<role>`). `user`: the human behind it (default: the account). `division`,
    `source`, `provider`: the claims that limit the scope. No command gives the role `service`; only a program with the
    local key gets it here. Raises ValueError for an unknown role.
    """
    if role not in ROLES:
        raise ValueError(f"unknown role {role}; one of {', '.join(ROLES)}")
    now = int(clock.real_now().timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject or f"local-{role}",
        "user": user,
        "iat": now,
        "exp": now + int(min(hours, 24) * 3600),
        "role": role,
        "division": division,
        "source": source,
        "provider": provider,
    }
    header = {"alg": "ES256"}
    return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, token_keys.signing_key())


_registry = jwt.JWTClaimsRegistry(
    now=lambda: int(clock.real_now().timestamp()),
    leeway=LEEWAY_SECONDS,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    iat={"essential": True},
    exp={"essential": True},
    sub={"essential": True},
    role={"essential": True, "values": [str(role) for role in ROLES]},
)
_KNOWN_MAX: Final = 1_000
# joserfc raises TypeError and similar errors for a header with parameters of a wrong type.
_INVALID: Final = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


class _Verified:
    """The callers of verified tokens, by token. New keys replace the dictionary, so a verification in progress by old
    keys fills the old one."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {}

    def forget(self) -> None:
        self.callers = {}


_verified = _Verified()


def read_token(token: str) -> Caller:
    """Verify a token and return the caller whom it names. Raises Unauthenticated for an invalid token, and Unavailable
    if this process has never been able to read the key set.

    A token that was verified before is not verified again until it expires or the keys change.
    """
    keys = token_keys.foreign_keys(_verified.forget)
    if keys is not None:
        keys.refresh()
    known = _verified.callers
    found = known.get(token)
    if found is not None and found.expires_at is not None and found.expires_at > clock.real_now().timestamp():
        return found
    caller = _verify(token, keys)
    if len(known) >= _KNOWN_MAX:
        known.clear()
    known[token] = caller
    return caller


def _verify(token: str, keys: token_keys.KeyFile | None) -> Caller:
    def find(signed: Any) -> Any:
        header = signed.headers()
        return keys.find(header.get("kid"), header["alg"]) if keys else token_keys.signing_key()

    try:
        claims = jwt.decode(token, find, algorithms=ALGORITHMS).claims
        _registry.validate(claims)
        if claims["exp"] - claims["iat"] > TOKEN_SECONDS_MAX:
            raise ValueError("the token is valid for too long")
        if keys is not None and claims["role"] not in GIVEN_ROLES:
            raise ValueError("the issuer is one for people")
        bounds: dict[str, Any] = {name: claims.get(name) for name in ("division", "source", "provider", "user")}
        if not all(value is None or isinstance(value, str) for value in (claims["role"], *bounds.values())):
            raise ValueError("a claim is no text")
        authenticated_at = float(claims.get("auth_time") or claims["iat"])
    except _INVALID as error:
        raise Unauthenticated("the token is not valid") from error
    return Caller(
        subject=claims["sub"],
        role=claims["role"],
        expires_at=float(claims["exp"]),
        user=bounds.pop("user") or claims["sub"],
        issuer=claims["iss"],
        authenticated_at=authenticated_at,
        **bounds,
    )


class Requirement:
    """A dependency of a route that returns the caller: with a valid token, one of `roles`, and a scope.

    Raises Unauthenticated (401), NotAllowed (403, with `code` for another role), and Unavailable like `read_token`."""

    def __init__(self, roles: tuple[Role, ...], code: str | None) -> None:
        self.roles = roles
        self.code = code

    async def __call__(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed")
        caller = read_token(token.strip())
        if caller.role not in self.roles:
            raise NotAllowed(f"the role {caller.role} may not do this", code=self.code)
        scope_of(caller)  # raises if the token lacks a claim that its role needs
        return caller


def require(*roles: Role) -> Requirement:
    """A FastAPI dependency that returns a caller with one of `roles` or the role `admin`, and refuses all others:
    `caller: Annotated[Caller, Depends(require("officer", "auditor"))]`."""
    return require_only(*roles, "admin")


def require_only(*roles: Role, code: str | None = None) -> Requirement:
    """Like `require`, but `admin` is refused as well unless it is named. `code`: the code of the answer (403) to other
    roles."""
    return checks_credential(Requirement(tuple(dict.fromkeys(roles)), code))


AnyCaller = Annotated[Caller, Depends(require(*GIVEN_ROLES))]

__all__ = [
    "GIVEN_ROLES",
    "ROLES",
    "AnyCaller",
    "Caller",
    "Requirement",
    "Role",
    "issue_token",
    "read_token",
    "require",
    "require_only",
]
