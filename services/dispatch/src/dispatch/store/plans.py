"""Heads and plans. Locks are taken in one order: heads, plans, tasks, providers; each by key."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import asyncpg
import msgspec
from shell.store.bulk import upsert
from shell.store.transaction import Tx

from dispatch.domain.part import Part
from dispatch.domain.plan import Plan
from dispatch.tables import PlanRow

_part = msgspec.json.Decoder(Part)
_encode = msgspec.json.Encoder().encode
_PLAN_COLUMNS: Final = tuple(Plan.__struct_fields__)
_PLANS: Final = f"SELECT {', '.join(_PLAN_COLUMNS)} FROM plans"  # noqa: S608


async def claim_heads(tx: Tx, heads: Sequence[tuple[str, int, int]]) -> set[str]:
    """Remember (person, version, digest) where newer than what is stored; the persons whose digest changed by it."""
    ordered = sorted(heads)
    rows = await tx.sql.fetch(
        """WITH claimed AS (
             INSERT INTO heads AS t (person_id, version, digest)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
             ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, digest = excluded.digest
               WHERE t.version < excluded.version
             RETURNING new.person_id, coalesce(old.digest, 0) AS before, new.digest AS after)
           SELECT person_id FROM claimed WHERE before <> after""",
        [head[0] for head in ordered],
        [head[1] for head in ordered],
        [head[2] for head in ordered],
    )
    return {row[0] for row in rows}


async def lock_plans(tx: Tx, person_ids: Iterable[str]) -> dict[tuple[str, str], Plan]:
    """Whoever opens tasks for a person holds the person's plans first, so that a death sees every task."""
    rows = await tx.sql.fetch(
        f"{_PLANS} WHERE person_id = ANY($1::uuid[]) ORDER BY person_id, item FOR UPDATE", sorted(person_ids)
    )
    return {(row["person_id"], row["item"]): _plan(row) for row in rows}


async def lock_due_plans(tx: Tx, today: date, limit: int) -> list[Plan]:
    rows = await tx.sql.fetch(
        f"{_PLANS} WHERE act_on <= $1 ORDER BY act_on LIMIT $2 FOR UPDATE SKIP LOCKED", today, limit
    )
    return [_plan(row) for row in rows]


async def page_plans(connection: asyncpg.Connection, after: str, limit: int) -> list[Plan]:
    """All plans of the next `limit` persons or so, in order."""
    rows = await connection.fetch(f"{_PLANS} WHERE person_id > $1 ORDER BY person_id LIMIT $2", after, limit)
    return [_plan(row) for row in rows]


async def load_aliases(connection: asyncpg.Connection, person_id: str) -> list[str]:
    """Other identities of the same human."""
    rows = await connection.fetch("SELECT part FROM plans WHERE person_id = $1", person_id)
    return sorted({alias for row in rows for alias in _part.decode(row[0]).aliases})


async def upsert_plans(tx: Tx, plans: Sequence[Plan]) -> None:
    rows = [(*msgspec.structs.astuple(plan)[:-2], _encode(plan.part), plan.correlation_id) for plan in plans]
    await upsert(tx, PlanRow, _PLAN_COLUMNS, rows, key=("person_id", "item"))


def _plan(row: Any) -> Plan:
    return Plan(**{**row, "part": _part.decode(row["part"])})
