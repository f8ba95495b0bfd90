"""The sender of an HTTP request: a bearer token, or a request signed with the source's own key.

A signed request carries `Authorization: Signature <JWT>` (see `ingestion.register.signature`). Some routes accept a
signature only once, because sending the same bytes again would do harm.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

from common.errors import NotAllowed, Unauthenticated
from fastapi import Request
from shell import clock
from shell.access.auth import Caller, Role, require
from shell.access.route_marks import checks_credential
from shell.service import Db, database

from ingestion.domain.problems import DOORS
from ingestion.register import sources
from ingestion.register.signature import VALID_SECONDS, Signature, SignatureRefused, is_same_digest, read_signature
from ingestion.register.store import signatures as store

SCHEME: Final = "signature"


class _Sender(NamedTuple):
    """`signature`: None for a request with a bearer token. `check`: what found it; another route checks anew."""

    caller: Caller
    signature: Signature | None
    check: object


def sender(*roles: Role, once: bool = False) -> Callable[[Request, Db], Awaitable[Caller]]:
    """Like `require`, and also a source that signs. The token or the signature is checked before the body is read; the
    body's own hash can only be compared afterwards. An endpoint that reads `request` itself calls `check_body`; with
    `once` the body is compared here, and the same signature is not accepted a second time."""
    by_token = require(*roles)

    async def identify(request: Request) -> _Sender:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            caller = await by_token(request)
            await sources.look(database(request))
            found = _Sender(_not_bound_to_sign(caller), None, identify)
        elif "source" not in roles:
            raise NotAllowed("a source may not do this")
        else:
            await sources.look(database(request))
            signature = _signature(token.strip(), request)
            caller = Caller(subject=signature.source, role="source", source=signature.source)
            found = _Sender(caller, signature, identify)
        request.state.sender = found
        return found

    async def dependency(request: Request, db: Db) -> Caller:
        found: _Sender | None = getattr(request.state, "sender", None)
        if found is None or found.check is not identify:
            found = await identify(request)
        if found.signature is None:
            return found.caller
        request.state.signed_sha256 = found.signature.sha256
        if once or request.method == "GET":
            check_body(request, await request.body())
        if once and not await _claim(db, found.signature):
            raise Unauthenticated("this signature was used before", code="signature_used")
        return found.caller

    dependency.roles = by_token.roles  # type: ignore[attr-defined]  # read by the test of all routes
    return checks_credential(dependency, identify)


def check_body(request: Request, body: bytes) -> None:
    """That this body is the one that was signed, if the request was signed at all. Raises Unauthenticated."""
    if getattr(request.state, "signed_sha256", None) is not None:
        check_digest(request, hashlib.sha256(body).hexdigest())


def check_digest(request: Request, sha256: str) -> None:
    """The same of a body whose hash is known. Raises Unauthenticated."""
    signed = getattr(request.state, "signed_sha256", None)
    if signed is not None and not is_same_digest(signed, sha256):
        raise Unauthenticated("the signature is of another body", code="signature_wrong")


def _not_bound_to_sign(caller: Caller) -> Caller:
    version = sources.versions().get(caller.source or "")
    if caller.role == "source" and version is not None and version.entry.signs == "signature":
        raise Unauthenticated("this source has to sign its requests", code="signature_required")
    return caller


def _signature(token: str, request: Request) -> Signature:
    place = request.scope["raw_path"].decode() + (f"?{query}" if (query := request.url.query) else "")
    try:
        return read_signature(token, request.method, place, clock.real_now(), clock.today())
    except SignatureRefused as refused:
        raise Unauthenticated(DOORS[refused.code][0], code=refused.code) from refused


async def _claim(db: Db, signature: Signature) -> bool:
    now = clock.real_now()
    async with db.transaction() as tx:
        old = now - timedelta(seconds=3 * VALID_SECONDS)
        return await store.claim(tx, signature.source, signature.nonce, now, old)
