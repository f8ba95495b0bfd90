"""The hash chain of the audit log, without I/O: the digest of a row, and the head after a seal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from shell.audit.log import Audit

START: Final = b""  # the head before the first seal
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Seal(NamedTuple):
    """One link of the chain. `seal`: 1, 2, 3, …; `rows`: the number of rows sealed so far, with those of this seal."""

    seal: int
    sealed_at: datetime
    rows: int
    head: bytes


def digest_of(row: Audit) -> bytes:
    """Return the digest of all columns of a row."""
    values = [row.audit_id, _microseconds(row.at), *row[2:-1], row.person_ids.decode()]
    return sha256(msgspec.json.encode(values)).digest()


def next_seal(before: Seal | None, sealed_at: datetime, digests: Sequence[bytes]) -> Seal:
    """Return the seal of rows with these digests, in the order of their ids. `before`: None for the first seal."""
    seal, rows, head = (before.seal, before.rows, before.head) if before else (0, 0, START)
    stated = [seal + 1, rows + len(digests), _microseconds(sealed_at)]
    content = head + msgspec.json.encode(stated) + b"".join(digests)
    return Seal(seal + 1, sealed_at, rows + len(digests), sha256(content).digest())


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
