"""The sender of an HTTP request: a caller with a bearer token, or a source that signs the request with its own key.

A signed request carries `Authorization: Signature <JWT>` (see `ingestion.register.signature`). Some routes accept each
signature only once, because a repeated request would do harm.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

from common.errors import NotAllowed, Unauthenticated
from fastapi import Request
from shell import clock
from shell.access.auth import Caller, Requirement, Role, require
from shell.access.route_marks import checks_credential
from shell.service import Db, database

from ingestion.domain.problems import DOORS
from ingestion.register import sources
from ingestion.register.signature import VALID_SECONDS, Signature, SignatureRefused, is_same_digest, read_signature
from ingestion.register.store import signatures as store

SCHEME: Final = "signature"
Identify = Callable[[Request], Awaitable["_Sender"]]


class _Sender(NamedTuple):
    """An identified sender. `signature`: None for a bearer token. `check`: the function that identified the sender;
    another route repeats the check with its own function."""

    caller: Caller
    signature: Signature | None
    check: object


def sender(*roles: Role, once: bool = False) -> Callable[[Request, Db], Awaitable[Caller]]:
    """Return a FastAPI dependency like `require` that also accepts signed requests of a source.

    The token or signature is checked before the body is read; the hash of the body is compared afterwards. With `once`,
    or for GET, the dependency compares it. All other routes call `check_body` themselves. With `once` a signature is
    accepted a single time.
    """
    by_token = require(*roles)
    identify = _identification(by_token)

    async def dependency(request: Request, db: Db) -> Caller:
        found: _Sender | None = getattr(request.state, "sender", None)
        if found is None or found.check is not identify:
            found = await identify(request)
        if found.signature is None:
            return found.caller
        request.state.signed_sha256 = found.signature.sha256
        if once or request.method == "GET":
            check_body(request, await request.body())
        if once:
            await _claim(db, found.signature)
        return found.caller

    dependency.roles = by_token.roles  # type: ignore[attr-defined]  # read by the test of all routes
    return checks_credential(dependency, identify)


def check_body(request: Request, body: bytes) -> None:
    """Raise Unauthenticated if the request is signed and its signature covers another body."""
    if getattr(request.state, "signed_sha256", None) is not None:
        check_digest(request, hashlib.sha256(body).hexdigest())


def check_digest(request: Request, sha256: str) -> None:
    """Like `check_body`, for a body whose SHA-256 (hex) is known."""
    signed = getattr(request.state, "signed_sha256", None)
    if signed is not None and not is_same_digest(signed, sha256):
        raise Unauthenticated("the signature covers another body", code="signature_wrong")


def _identification(by_token: Requirement) -> Identify:
    """A function that identifies the sender by headers alone and stores it in the request's state."""

    async def identify(request: Request) -> _Sender:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == SCHEME:
            found = await _by_signature(request, token.strip(), by_token.roles, identify)
        else:
            caller = await by_token(request)
            await sources.refresh(database(request))
            _need_token_allowed(caller)
            found = _Sender(caller, None, identify)
        request.state.sender = found
        return found

    return identify


async def _by_signature(request: Request, token: str, roles: tuple[Role, ...], check: Identify) -> _Sender:
    if "source" not in roles:
        raise NotAllowed("a source may not do this")
    await sources.refresh(database(request))
    signature = _signature(token, request)
    return _Sender(Caller(subject=signature.source, role="source", source=signature.source), signature, check)


def _need_token_allowed(caller: Caller) -> None:
    entry = sources.entry_of(caller.source)
    if caller.role == "source" and entry is not None and entry.signs == "signature":
        raise Unauthenticated("this source must sign its requests", code="signature_required")


def _signature(token: str, request: Request) -> Signature:
    place = request.scope["raw_path"].decode() + (f"?{query}" if (query := request.url.query) else "")
    try:
        return read_signature(token, request.method, place, clock.real_now(), clock.today())
    except SignatureRefused as refused:
        raise Unauthenticated(DOORS[refused.code][0], code=refused.code) from refused


async def _claim(db: Db, signature: Signature) -> None:
    """Note that the signature is used. Raises Unauthenticated if it was used before."""
    now = clock.real_now()
    forget_before = now - timedelta(seconds=3 * VALID_SECONDS)
    async with db.transaction() as tx:
        is_new = await store.claim(tx, signature.source, signature.nonce, now, forget_before)
    if not is_new:
        raise Unauthenticated("this signature was used before", code="signature_used")
