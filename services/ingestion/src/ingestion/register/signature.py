"""A source's signature: a JSON Web Token (ES256 or Ed25519) over one request or one Kafka record.

Header: `kid` = `<source>#<kid of the register>`. Claims: `iss` is the source, `aud` is shouwang, then `iat` and `jti`.
`htm` is the method (`KAFKA` for a record). `htu` is the path with its query (the topic of a record). `sha256` is the
hash of the body, in hex.
A signature is valid from five minutes before `iat` until five minutes after it. It covers the place and the body, so a
stolen signature can only repeat the same request.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from shell.access.auth import AUDIENCE

from ingestion.register import sources

VALID_SECONDS: Final = 300
TOKEN_CHARS_MAX: Final = 4_096
NONCE_CHARS_MAX: Final = 100
ALGORITHMS: Final = ["ES256", "Ed25519"]
_KEYS_MAX: Final = 4_096


class SignatureRefused(Exception):
    """A signature is not valid. `code`: signature_wrong or signature_old."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Signature(NamedTuple):
    """The claims of a valid signature. `sha256`: of the body, in hex."""

    source: str
    nonce: str
    sha256: str


def read_signature(token: str, method: str, place: str, at: datetime, on: date) -> Signature:
    """Verify a token for this method and place. The caller compares the body.

    `at`: real time of the request; `on`: the day on which the key must be valid. Raises SignatureRefused.
    """
    try:
        decoded = _decode(token, on)
        claims = decoded.claims
        _registry(at).validate(claims)
        found = _signature(claims)
        is_late = _is_late(claims, at)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise SignatureRefused("signature_wrong") from error
    signer = str(decoded.header["kid"]).partition("#")[0]
    if (found.source, claims["htm"], claims["htu"]) != (signer, method, place):
        raise SignatureRefused("signature_wrong")
    if not 0 < len(found.nonce) <= NONCE_CHARS_MAX:
        raise SignatureRefused("signature_wrong")
    if is_late:
        raise SignatureRefused("signature_old")
    return found


def is_of_body(sha256: str, body: bytes) -> bool:
    """Whether a signature with this `sha256` covers the body."""
    return is_same_digest(sha256, hashlib.sha256(body).hexdigest())


def is_same_digest(signed: str, sha256: str) -> bool:
    return hmac.compare_digest(signed.encode(), sha256.encode())


def _decode(token: str, on: date) -> jwt.Token:
    """Decode a token and verify it with the key of its source. Raises JoseError, KeyError, ValueError and others for a
    token without a valid signature."""
    if len(token) > TOKEN_CHARS_MAX:
        raise ValueError("too long")
    return jwt.decode(token, lambda guest: _key(guest.headers().get("kid"), on), algorithms=ALGORITHMS)


def _is_late(claims: Mapping[str, Any], at: datetime) -> bool:
    """Whether `iat` lies more than VALID_SECONDS before or after `at`."""
    return abs(at.timestamp() - float(claims["iat"])) > VALID_SECONDS


def _signature(claims: Mapping[str, Any]) -> Signature:
    """Read the claims of a token. Raises KeyError for a missing one, and UnicodeEncodeError for a lone surrogate:
    JSON can hold one, PostgreSQL cannot."""
    found = Signature(str(claims["iss"]), str(claims["jti"]), str(claims["sha256"]).lower())
    found.sha256.encode(), found.nonce.encode()
    return found


def _registry(at: datetime) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=lambda: int(at.timestamp()),
        leeway=VALID_SECONDS,
        iss={"essential": True},
        aud={"essential": True, "value": AUDIENCE},
        iat={"essential": True},
        jti={"essential": True},
        htm={"essential": True},
        htu={"essential": True},
        sha256={"essential": True},
    )


def _key(named: Any, on: date) -> Key:
    """The public key that the register has for this `kid` on that day. Raises KeyError, ValueError."""
    urn, _, kid = str(named).partition("#")
    entry = sources.versions()[urn].entry
    if entry.signs == "token":
        raise ValueError("this source does not sign")
    for key in entry.keys:
        if key.kid == kid and key.valid_from <= on and (key.valid_to is None or on < key.valid_to):
            return _imported(tuple(sorted(key.jwk.items())))
    raise ValueError("no such key on that day")


@lru_cache(maxsize=_KEYS_MAX)
def _imported(jwk: tuple[tuple[str, str], ...]) -> Key:
    return import_key(dict(jwk))
