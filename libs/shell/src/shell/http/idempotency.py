"""The header `Idempotency-Key`: the same key of the same caller creates once, even by two concurrent requests.

A route that creates takes a `Creation` and works in one transaction:

    made_before = await creation.claim(tx, caller, body)   # raises Conflict if the key was used for another request
    if made_before is None:
        thing_id = creation.id_for("thing", caller)
        ...                                                # create it
        await creation.created(tx, caller, thing_id)

The table `request_keys` holds only ids and digests, never the key, the caller or the body. A request that fails stores
nothing, so its key can be used again. Rows are deleted after `request_keys_kept_days`. The ids of `id_for` still
prevent a second creation after that time.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from common.errors import Conflict, Unavailable
from common.message import derived_id
from fastapi import Depends, Header, Request
from pydantic import BaseModel

from shell.access.auth import Caller
from shell.settings import settings
from shell.store.transaction import Tx

FORGOTTEN_AT_ONCE: Final = 100
_PRINTABLE: Final = "^[ -~]+$"
_TEXT: Final = (
    "Made by the caller, at best a random UUID. The same key of the same caller creates once and answers with the same "
    "id. The same key with another request is 409 idempotency_key_reused."
)
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, pattern=_PRINTABLE, description=_TEXT)]
RequiredIdempotencyKey = Annotated[str, Header(min_length=8, max_length=200, pattern=_PRINTABLE, description=_TEXT)]


class Creation:
    """One request that creates. Without a key every request counts as new."""

    def __init__(self, key: str | None, call: str) -> None:
        self.key = key
        self._call = call

    def id_for(self, noun: str, caller: Caller, *parts: object, otherwise: str = "") -> str:
        """Return the id of the thing to create: a uuid5 of noun, caller, `parts` and key. `otherwise` replaces a
        missing key."""
        return derived_id(noun, _identity(caller), *parts, self.key or otherwise)

    async def claim(self, tx: Tx, caller: Caller, body: BaseModel | Mapping[str, Any] | bytes) -> str | None:
        """Claim the key, and return the id that this request created before. None: the request has no key, or the key
        is new, and other requests with it wait for this transaction.

        Raises Conflict if the caller used the key with another method, path or body, and Unavailable if its row was
        deleted between two statements."""
        if self.key is None:
            return None
        digest = _digest(self._call, body)
        await tx.sql.execute(_FORGET, settings().request_keys_kept_days, FORGOTTEN_AT_ONCE)
        if await tx.sql.fetchval(_CLAIM, self._request_id(caller), digest):
            return None
        row = await tx.sql.fetchrow(_FIND, self._request_id(caller))
        if row is None:  # deleted between the two statements
            raise Unavailable("the key was deleted just now")
        if row["request"] != digest:
            raise Conflict("this Idempotency-Key was used for another request", code="idempotency_key_reused")
        created_id: str = row["created_id"]
        return created_id

    async def created(self, tx: Tx, caller: Caller, created_id: str) -> None:
        """Store the id of the created thing, in the transaction of `claim`."""
        if self.key is not None:
            await tx.sql.execute(_CREATED, self._request_id(caller), created_id)

    def _request_id(self, caller: Caller) -> str:
        return derived_id("request", _identity(caller), self.key)


_CLAIM: Final = "INSERT INTO request_keys (request_id, request) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
_FIND: Final = "SELECT request, created_id FROM request_keys WHERE request_id = $1"
_CREATED: Final = "UPDATE request_keys SET created_id = $2 WHERE request_id = $1"
_FORGET: Final = """DELETE FROM request_keys WHERE request_id = ANY(ARRAY(
  SELECT request_id FROM request_keys WHERE created_at < now() - make_interval(days => $1)
  ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))"""


def _identity(caller: Caller) -> str:
    """Return the name of a caller for ids. All tokens of one source have the same name."""
    return caller.source or caller.subject


def _digest(call: str, body: BaseModel | Mapping[str, Any] | bytes) -> bytes:
    if isinstance(body, BaseModel):
        body = body.model_dump(mode="json")
    content = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    return blake2b(call.encode() + b"\0" + content, digest_size=32).digest()


def _creation(request: Request, idempotency_key: IdempotencyKey = None) -> Creation:
    return Creation(idempotency_key, f"{request.method} {request.url.path}")


def _creation_with_key(request: Request, idempotency_key: RequiredIdempotencyKey) -> Creation:
    return Creation(idempotency_key, f"{request.method} {request.url.path}")


Creates = Annotated[Creation, Depends(_creation)]
CreatesByKey = Annotated[Creation, Depends(_creation_with_key)]  # money: no request without a key
