"""Who sends: a bearer token, or a request signed with the source's own key.

A signed request carries `Authorization: Signature <JWT>`: a JSON Web Token (ES256 or Ed25519) that the source signs for
this one request. Header: `kid` = `<source>#<kid of the register>`. Claims: `iss` the source, `aud` shouwang, `iat`,
`jti`, `htm` the method, `htu` the path with its query, `sha256` of the body in hex. It holds for five minutes. A stolen
one serves only to send the same bytes to the same place again; where that would do harm, it is taken once.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from common import clock
from common.auth import AUDIENCE, Caller, Role, require
from common.errors import NotAllowed, TooLarge, Unauthenticated
from common.service import Db
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from ingestion import sources
from ingestion.store import signatures as store

SCHEME: Final = "signature"
VALID_SECONDS: Final = 300
TOKEN_CHARS_MAX: Final = 4_096
NONCE_CHARS_MAX: Final = 100
BODY_BYTES_MAX: Final = 65_536
ALGORITHMS: Final = ["ES256", "Ed25519"]


def sender(*roles: Role, once: bool = False) -> Callable[[Request, Db], Awaitable[Caller]]:
    """Like `require`, and also a source that signs. A door that reads its body as a stream calls `check_body` itself;
    with `once` the body (at most 64 KiB) is checked here, and the same signature is not taken a second time."""
    by_token = require(*roles)

    async def dependency(request: Request, db: Db) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        await sources.look(db)
        if scheme.lower() != SCHEME:
            return _not_bound_to_sign(await by_token(request))
        if "source" not in roles:
            raise NotAllowed("a source may not do this")
        claims = _claims(token.strip(), request)
        request.state.signed_sha256 = str(claims["sha256"])
        if once or request.method == "GET":
            check_body(request, await _small_body(request))
        if once and not await _claim(db, claims):
            raise Unauthenticated("this signature was used before", code="signature_used")
        return Caller(subject=str(claims["iss"]), role="source", source=str(claims["iss"]))

    return dependency


def check_body(request: Request, body: bytes) -> None:
    """That this body is the one that was signed, if the request was signed at all. Raises Unauthenticated."""
    if getattr(request.state, "signed_sha256", None) is not None:
        check_digest(request, hashlib.sha256(body).hexdigest())


def check_digest(request: Request, sha256: str) -> None:
    """The same of a body whose hash is known. Raises Unauthenticated."""
    signed = getattr(request.state, "signed_sha256", None)
    if signed is not None and not hmac.compare_digest(signed.lower(), sha256):
        raise Unauthenticated("the signature is of another body", code="signature_wrong")


def _not_bound_to_sign(caller: Caller) -> Caller:
    version = sources.versions().get(caller.source or "")
    if caller.role == "source" and version is not None and version.entry.signs == "signature":
        raise Unauthenticated("this source has to sign its requests", code="signature_required")
    return caller


def _claims(token: str, request: Request) -> dict[str, Any]:
    try:
        if len(token) > TOKEN_CHARS_MAX:
            raise ValueError("too long")
        decoded = jwt.decode(token, lambda guest: _key(guest.headers().get("kid")), algorithms=ALGORITHMS)
        _registry().validate(decoded.claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated("the signature is not valid", code="signature_wrong") from error
    claims = decoded.claims
    place = request.scope["raw_path"].decode() + (f"?{query}" if (query := request.url.query) else "")
    signer = decoded.header["kid"].partition("#")[0]
    if (claims["iss"], claims["htm"], claims["htu"]) != (signer, request.method, place):
        raise Unauthenticated("the signature is of another request", code="signature_wrong")
    if not 0 < len(str(claims["jti"])) <= NONCE_CHARS_MAX:
        raise Unauthenticated("the signature is not valid", code="signature_wrong")
    if abs(clock.real_now().timestamp() - float(claims["iat"])) > VALID_SECONDS:
        raise Unauthenticated("the signature is older than five minutes", code="signature_old")
    return claims


def _registry() -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=lambda: int(clock.real_now().timestamp()),
        leeway=VALID_SECONDS,
        iss={"essential": True},
        aud={"essential": True, "value": AUDIENCE},
        iat={"essential": True},
        jti={"essential": True},
        htm={"essential": True},
        htu={"essential": True},
        sha256={"essential": True},
    )


def _key(named: Any) -> Key:
    """The public key that the register gives today. Raises KeyError, ValueError."""
    urn, _, kid = str(named).partition("#")
    entry, today = sources.versions()[urn].entry, clock.today()
    if entry.signs == "token":
        raise ValueError("this source does not sign")
    for key in entry.keys:
        if key.kid == kid and key.valid_from <= today and (key.valid_to is None or today < key.valid_to):
            return import_key(dict(key.jwk))
    raise ValueError("no such key today")


async def _small_body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"this body holds at most {BODY_BYTES_MAX} bytes")
    return body


async def _claim(db: Db, claims: dict[str, Any]) -> bool:
    now = clock.real_now()
    async with db.transaction() as tx:
        old = now - timedelta(seconds=3 * VALID_SECONDS)
        return await store.claim(tx, str(claims["iss"]), str(claims["jti"]), now, old)
