"""The local issuer: short-lived tokens for one machine, signed by a key in the home.

Only the command line, tests and demonstrations use this module; a service verifies tokens by the public keys
(`keys/token.jwks.json`) and never reads the private one. `tests/test_tidy.py` enforces it.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.jwk import ECKey

from shell import clock, private_files
from shell.access import token_keys
from shell.access.issuers import AUDIENCE, LOCAL_URL
from shell.access.scopes import ROLES, Role
from shell.settings import paths

ALGORITHM: Final = "ES256"
HOURS_MAX: Final = 24


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
        "iss": LOCAL_URL,
        "aud": AUDIENCE,
        "sub": subject or f"local-{role}",
        "user": user,
        "iat": now,
        "exp": now + int(min(hours, HOURS_MAX) * 3600),
        "role": role,
        "division": division,
        "source": source,
        "provider": provider,
    }
    key = signing_key()
    header = {"alg": ALGORITHM, "kid": key.thumbprint()}
    return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, key)


def signing_key() -> ECKey:
    """Return the private key of the present home. The first use creates its file and the file of the public keys; only
    their owner can read them."""
    found = paths()
    return _keys_of(found.token_key, found.token_jwks)


@lru_cache(maxsize=8)
def _keys_of(private: Path, public: Path) -> ECKey:
    return create_keys(private, public)


def create_keys(private: Path, public: Path) -> ECKey:
    """Create the private key and the set of public keys if they are missing; returns the private key."""
    if not private.exists():
        fresh = ECKey.generate_key("P-256", private=True).as_dict(private=True)
        private_files.create(private, json.dumps(fresh).encode())
    key = ECKey.import_key(json.loads(private.read_text()))
    named = {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}
    text = json.dumps({"keys": [named]})
    if not public.exists() or public.read_text() != text:
        private_files.replace(public, text.encode())
    return key


def forget() -> None:
    """Read all keys anew at the next use, since SHOUWANG_HOME has changed. For tests and tools."""
    _keys_of.cache_clear()
    token_keys.forget()
