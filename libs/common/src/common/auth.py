"""Who calls, in which role, for which area. Tokens are JWTs; algorithm, issuer and audience are pinned.

A role is necessary, not sufficient: `Caller.may_see(division)` checks the area by the closure of divisions, never by
a code prefix. The locally issued tokens are for one machine; elsewhere `SHOUWANG_JWKS` names the issuer's keys.
"""

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from common import clock
from common.codes import divisions
from common.errors import NotAllowed, Unauthenticated
from common.settings import settings

Role = Literal[
    "source", "provider", "visitor", "assessor", "officer", "approver", "auditor", "resident", "admin", "service"
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
# A service is no person: no issuer for people gives this role, and neither does `shouwang token`.
GIVEN_ROLES: Final[tuple[Role, ...]] = tuple(role for role in ROLES if role != "service")
ISSUER: Final = "shouwang"
AUDIENCE: Final = "shouwang"
ALGORITHMS: Final = ["ES256"]
LEEWAY_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """`division` bounds what is seen; the nation is `000000`. Without one, only admin, auditor and service see
    anything."""

    subject: str
    role: Role
    division: str | None = None
    source: str | None = None
    provider: str | None = None

    def may_see(self, division: str | None) -> bool:
        """Whether something of that area (None: of an unknown one) is theirs to see."""
        if self.division is None:
            return self.role in ("admin", "auditor", "service")
        return division is not None and divisions.within(division, self.division)

    def need_area(self, division: str | None) -> None:
        """Raises NotAllowed for what lies outside the caller's area."""
        if not self.may_see(division):
            raise NotAllowed("outside your area")


def _key_file() -> Path:
    return settings().home / "keys" / "token.json"


@cache
def _signing_key() -> ECKey:
    """The local issuer's key; made on first use, readable by its owner only."""
    path = _key_file()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".token.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(ECKey.generate_key("P-256", private=True).as_dict(private=True), file)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first; its key holds
        finally:
            fresh.unlink(missing_ok=True)
    return ECKey.import_key(_json(path))


@cache
def _verifying_keys() -> ECKey | KeySet:
    if given := os.environ.get("SHOUWANG_JWKS"):
        return KeySet.import_key_set(_json(Path(given)))
    return _signing_key()


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def issue_token(
    role: Role,
    *,
    subject: str | None = None,
    division: str | None = None,
    source: str | None = None,
    provider: str | None = None,
    hours: float = 8,
) -> str:
    """A short-lived local token (at most 24 hours, real time). Raises ValueError for an unknown role.

    No command gives the role `service`; only a program with the local key can ask for it here.
    """
    if role not in ROLES:
        raise ValueError(f"unknown role {role}; one of {', '.join(ROLES)}")
    now = int(clock.real_now().timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject or f"local-{role}",
        "iat": now,
        "exp": now + int(min(hours, 24) * 3600),
        "role": role,
        "division": division,
        "source": source,
        "provider": provider,
    }
    return jwt.encode({"alg": "ES256"}, {k: v for k, v in claims.items() if v is not None}, _signing_key())


_registry = jwt.JWTClaimsRegistry(
    now=lambda: int(clock.real_now().timestamp()),
    leeway=LEEWAY_SECONDS,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
    role={"essential": True, "values": [str(role) for role in ROLES]},
)
_known: dict[str, tuple[float, Caller]] = {}
_KNOWN_MAX: Final = 1_000


def read_token(token: str) -> Caller:
    """Raises Unauthenticated. A token seen before is not verified again until it expires."""
    now = clock.real_now().timestamp()
    found = _known.get(token)
    if found is not None and found[0] > now:
        return found[1]
    try:
        decoded = jwt.decode(token, _verifying_keys(), algorithms=ALGORITHMS)
        _registry.validate(decoded.claims)
        if os.environ.get("SHOUWANG_JWKS") and decoded.claims["role"] not in GIVEN_ROLES:
            raise ValueError("the issuer is one for people")
    except (JoseError, ValueError) as error:
        raise Unauthenticated("the token is not valid") from error
    claims = decoded.claims
    caller = Caller(
        subject=str(claims["sub"]),
        role=claims["role"],
        division=claims.get("division"),
        source=claims.get("source"),
        provider=claims.get("provider"),
    )
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[token] = (float(claims["exp"]), caller)
    return caller


def require(*roles: Role) -> Callable[[Request], Awaitable[Caller]]:
    """A FastAPI dependency: `caller: Annotated[Caller, Depends(require("officer", "auditor"))]`. `admin` may all."""
    return require_only(*roles, "admin")


def require_only(*roles: Role, code: str | None = None) -> Callable[[Request], Awaitable[Caller]]:
    """The same for what `admin` may not do either. `code`: of the problem that other roles get (403)."""

    async def dependency(request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed")
        caller = read_token(token.strip())
        if caller.role not in roles:
            raise NotAllowed(f"the role {caller.role} may not do this", code=code)
        return caller

    return dependency


AnyCaller = Annotated[Caller, Depends(require(*GIVEN_ROLES))]
