"""The sealer: seals the rows of the audit log into a hash chain and publishes its head, outside of writers'
transactions.

Each step takes the waiting rows from the queue and adds one seal. Its head covers the head before and the digest of
each row. The event AuditSealed takes the head out of the database: a later change of a sealed row, also with all later
seals made anew, contradicts the topic (`shell.audit.checking`).
"""

from typing import Any, Final

from common.events import AuditSealed

from shell import clock, metrics
from shell.audit.chain import Seal, digest_of, next_seal
from shell.audit.log import COLUMNS, Audit
from shell.store.database import Database
from shell.store.transaction import Tx

SEAL_EVERY_SECONDS: Final = 1.0
SEAL_ROWS_MAX: Final = 2_000

_WAITING: Final = "SELECT EXISTS (SELECT 1 FROM audit_queue)"
# One sealer per database, also while the job moves from one process to another.
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('shouwang-audit-sealer'))"
_TAKE: Final = f"""
WITH taken AS (DELETE FROM audit_queue WHERE audit_id = ANY(ARRAY(
                 SELECT audit_id FROM audit_queue ORDER BY audit_id LIMIT $1)) RETURNING audit_id)
SELECT {COLUMNS} FROM audits JOIN taken USING (audit_id) ORDER BY audit_id
"""  # noqa: S608 - constant columns
_NEWEST: Final = "SELECT seal, sealed_at, rows, head FROM audit_seals ORDER BY seal DESC LIMIT 1"
_ADD: Final = "INSERT INTO audit_seals (seal, sealed_at, rows, head) VALUES ($1, $2, $3, $4)"
_LINK: Final = """
INSERT INTO audit_links (seal, audit_id, digest) SELECT $1, * FROM unnest($2::bigint[], $3::bytea[])
"""


async def seal_audits(database: Database) -> int:
    """Job: seal the waiting rows, at most SEAL_ROWS_MAX. Returns their number if more may wait, else 0."""
    async with database.reading() as connection:
        if not await connection.fetchval(_WAITING):
            return 0
    async with database.transaction() as tx:
        if not await tx.sql.fetchval(_LOCK):
            return 0
        sealed = await _seal_next(tx)
    metrics.audits_sealed.labels(database.schema).inc(sealed)
    return sealed if sealed == SEAL_ROWS_MAX else 0


async def _seal_next(tx: Tx) -> int:
    """Seal the waiting rows with the lowest ids, and emit the new head. Returns the number of rows."""
    rows = [Audit(*row) for row in await tx.sql.fetch(_TAKE, SEAL_ROWS_MAX)]
    if not rows:
        return 0
    digests = [digest_of(row) for row in rows]
    seal = next_seal(await load_newest(tx.sql), clock.real_now(), digests)
    await tx.sql.execute(_ADD, *seal)
    await tx.sql.execute(_LINK, seal.seal, [row.audit_id for row in rows], digests)
    event = AuditSealed(
        service=tx.service,
        seal=seal.seal,
        rows=seal.rows,
        head=seal.head.hex(),
        sealed_to=rows[-1].audit_id,
        sealed_at=seal.sealed_at,
    )
    tx.emit(event, topic=f"{tx.service}.audit")
    return len(rows)


async def load_newest(connection: Any) -> Seal | None:
    """Return the newest seal; None before the first one."""
    row = await connection.fetchrow(_NEWEST)
    return Seal(*row) if row else None
