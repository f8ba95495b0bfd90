"""Store parked records: records that could not be processed, and later events of the same key. They wait, sealed, until
an operator replays them, or a newer state of the same key supersedes them."""

from collections.abc import Collection
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec
from common.errors import Conflict, NotFound
from common.events import RecordParked
from common.message import Record, derived_id

from shell.privacy import Keys, Vault
from shell.store.transaction import Tx

_CONTEXT: Final = b"parked"
# Timestamp and offset of a record. They order the records of one key, also after their topic was created again.
Age: TypeAlias = tuple[int, int]


class _Sealed(msgspec.Struct, array_like=True):
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


@cache
def _vault() -> Vault:
    return Vault(Keys.load())


async def park(tx: Tx, consumer: str, record: Record, reason: str, error_type: str | None) -> str:
    """Store a record that cannot be processed, and emit RecordParked on `<service>.parked`; return its parked id.

    `reason`: a code. `error_type`: the class of a bug. The transaction must also move the position past the record."""
    parked_id = derived_id("parked", consumer, record.topic, *record.place())
    sealed = _vault().seal(msgspec.msgpack.encode(_Sealed(record.value, list(record.headers))), _CONTEXT)
    await tx.sql.execute(
        """INSERT INTO parked (parked_id, consumer, topic, part, "offset", key, sealed, reason, error_type, record_ms)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT (parked_id) DO UPDATE SET state = 'parked', reason = excluded.reason, settled_at = NULL""",
        parked_id,
        consumer,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        sealed,
        reason,
        error_type,
        record.timestamp_ms,
    )
    tx.emit(
        RecordParked(
            parked_id=parked_id,
            service=tx.service,
            reason=reason,
            topic_name=record.topic,
            partition=record.partition,
            offset=record.offset,
        ),
        topic=f"{tx.service}.parked",
    )
    return parked_id


async def load_oldest_waiting(tx: Tx, consumer: str, keys: Collection[bytes]) -> dict[tuple[str, bytes], Age]:
    """Return the age of the oldest waiting record by (topic, key), for these keys. There are almost never any, so a
    batch only pays for a look into an index."""
    rows = await tx.sql.fetch(
        """SELECT DISTINCT ON (topic, key) topic, key, coalesce(record_ms, 0) AS record_ms, "offset" FROM parked
           WHERE consumer = $1 AND state = 'parked' AND key = ANY($2::bytea[])
           ORDER BY topic, key, coalesce(record_ms, 0), parked."offset"
        """,
        consumer,
        list(keys),
    )
    return {(row["topic"], row["key"]): (row["record_ms"], row["offset"]) for row in rows}


def age_of(record: Record) -> Age:
    return record.timestamp_ms or 0, record.offset


async def supersede(tx: Tx, consumer: str, record: Record) -> None:
    """Close the waiting records with the key of `record`, except those that came after it. `record` holds a newer state
    than the closed ones."""
    await tx.sql.execute(
        """UPDATE parked SET state = 'superseded', settled_at = now()
           WHERE consumer = $1 AND topic = $2 AND key = $3 AND state = 'parked'
             AND (coalesce(record_ms, 0), "offset") <= ($4::bigint, $5::bigint)""",
        consumer,
        record.topic,
        record.key,
        *age_of(record),
    )


async def take_parked(tx: Tx, parked_id: str) -> tuple[Record, str, int]:
    """Mark a parked record as replayed. Return the record, its consumer and the generation of the replay.

    The inbox claims events per generation, so a replay handles the event again. Raises NotFound, and Conflict while an
    older record of the same key waits: records of one key keep their order."""
    older = await tx.sql.fetchval(
        """SELECT o.parked_id FROM parked p JOIN parked o
             ON o.consumer = p.consumer AND o.topic = p.topic AND o.key = p.key AND o.state = 'parked'
             AND o.part = p.part
             AND (coalesce(o.record_ms, 0), o."offset") < (coalesce(p.record_ms, 0), p."offset")
           WHERE p.parked_id = $1 ORDER BY coalesce(o.record_ms, 0), o."offset" LIMIT 1""",
        parked_id,
    )
    if older is not None:
        raise Conflict(f"an older record of the same key waits: replay {older} first", code="older_record_waits")
    row: Any = await tx.sql.fetchrow(
        """UPDATE parked SET state = 'replayed', settled_at = now(), generation = generation + 1
           WHERE parked_id = $1 AND state = 'parked'
           RETURNING consumer, topic, part, "offset", key, sealed, generation, record_ms""",
        parked_id,
    )
    if row is None:
        raise NotFound("no parked record has this id")
    kept = msgspec.msgpack.decode(_vault().open(row["sealed"], _CONTEXT), type=_Sealed)
    place = (row["topic"], row["part"], row["offset"], row["key"])
    record = Record(*place, kept.value, kept.headers, row["record_ms"])
    return record, row["consumer"], row["generation"]
