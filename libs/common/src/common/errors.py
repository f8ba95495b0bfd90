"""The error tree. A refusal by law or ledger is a value, not an error. These errors are mistakes of callers and
failures of the system.

ServiceError             for HTTP callers: slug + status → application/problem+json (RFC 9457)
├─ Malformed 422 · BadRequest 400 · Unauthenticated 401 · NotAllowed 403 · NotFound 404 · Conflict 409
├─ TooSlow 408 · TooLarge 413 · WrongMediaType 415 · TooBusy 429 (Retry-After) · NoRoom 503 (Retry-After)
BadMessage               can never be processed → parked at once with its reason, original bytes kept
Unavailable              PostgreSQL, Kafka or a peer is away → wait with backoff, never park
anything else            a bug → the batch is halved to find the one record; after five tries it is parked
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel


class Problem(BaseModel):
    """One fault in a request or file. `pointer`: its place (RFC 6901), empty for the whole. `code`: from a published
    list."""

    pointer: str
    code: str
    detail: str


class ServiceError(Exception):
    """An error that becomes the answer to an HTTP caller. `code`: by default the slug. `extra`: further members of the
    JSON object."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "error"

    def __init__(self, detail: str, *, code: str | None = None, problems: Sequence[Problem] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.slug
        self.problems = tuple(problems)
        self.extra = extra
        self.headers: dict[str, str] = {}


class BadRequest(ServiceError):
    status, slug = 400, "bad_request"


class Unauthenticated(ServiceError):
    status, slug = 401, "unauthenticated"


class NotAllowed(ServiceError):
    status, slug = 403, "not_allowed"


class NotFound(ServiceError):
    status, slug = 404, "not_found"


class TooSlow(ServiceError):
    status, slug = 408, "too_slow"


class Conflict(ServiceError):
    status, slug = 409, "conflict"


class TooLarge(ServiceError):
    status, slug = 413, "too_large"


class WrongMediaType(ServiceError):
    status, slug = 415, "wrong_media_type"


class Malformed(ServiceError):
    status, slug = 422, "malformed"


class TooBusy(ServiceError):
    status, slug = 429, "too_busy"

    def __init__(self, detail: str, *, retry_after_seconds: int = 5, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class NoRoom(ServiceError):
    """The disk of the service has too little room for the request. It can succeed later."""

    status, slug = 503, "no_room"

    def __init__(self, detail: str, *, retry_after_seconds: int = 60, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class BadMessage(Exception):
    """This record can never be processed. `reason`: a slug without any content of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(Exception):
    """PostgreSQL, Kafka or another service cannot be reached at the moment. A later try can succeed."""
