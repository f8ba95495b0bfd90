"""Store and lock heads and plans. A head is the version of a person's newest decision with a digest.

The lock order is: heads, plans, tasks, providers; each by key.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from shell.store.bulk import upsert
from shell.store.transaction import Tx

from dispatch.domain.facts import VisitFacts
from dispatch.domain.plan import Plan
from dispatch.tables import PlanRow

_facts = msgspec.json.Decoder(VisitFacts)
_encode = msgspec.json.Encoder().encode
_PLAN_COLUMNS: Final = tuple("part" if name == "facts" else name for name in Plan.__struct_fields__)
_PLANS: Final = f"SELECT {', '.join(_PLAN_COLUMNS)} FROM plans"  # noqa: S608


class Head(NamedTuple):
    """The newest decision about a person. `digest`: see `domain.facts.visit_digest`."""

    person_id: str
    version: int
    digest: int


async def claim_heads(tx: Tx, heads: Sequence[Head]) -> set[str]:
    """Store the heads that are newer than the stored ones. Returns the persons whose digest changed."""
    ordered = sorted(heads)
    rows = await tx.sql.fetch(
        """WITH claimed AS (
             INSERT INTO heads AS t (person_id, version, digest)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
             ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, digest = excluded.digest
               WHERE t.version < excluded.version
             RETURNING new.person_id, coalesce(old.digest, 0) AS before, new.digest AS after)
           SELECT person_id FROM claimed WHERE before <> after""",
        [head.person_id for head in ordered],
        [head.version for head in ordered],
        [head.digest for head in ordered],
    )
    return {row[0] for row in rows}


async def lock_plans(tx: Tx, person_ids: Iterable[str]) -> dict[tuple[str, str], Plan]:
    """Lock the plans of these persons. Returns them by person id and item.

    The lock comes before new tasks are made, so that a death finds every task.
    """
    rows = await tx.sql.fetch(
        f"{_PLANS} WHERE person_id = ANY($1::uuid[]) ORDER BY person_id, item FOR UPDATE", sorted(person_ids)
    )
    plans = [_plan(row) for row in rows]
    return {(plan.person_id, plan.item): plan for plan in plans}


async def lock_due_plans(tx: Tx, today: date, limit: int) -> list[Plan]:
    """Lock plans whose day of action has come, at most `limit`. Plans locked by other transactions are skipped."""
    rows = await tx.sql.fetch(
        f"{_PLANS} WHERE act_on <= $1 ORDER BY act_on LIMIT $2 FOR UPDATE SKIP LOCKED", today, limit
    )
    return [_plan(row) for row in rows]


async def page_plans(connection: asyncpg.Connection, after: tuple[str, str], limit: int) -> list[Plan]:
    """Return at most `limit` plans in the order of person ids and items. `after`: the last ones of the page before."""
    rows = await connection.fetch(
        f"{_PLANS} WHERE (person_id, item) > ($1::uuid, $2::text) ORDER BY person_id, item LIMIT $3", *after, limit
    )
    return [_plan(row) for row in rows]


async def load_aliases(connection: asyncpg.Connection, person_id: str) -> list[str]:
    """Return the ids that were merged into this person, sorted; empty for a person who is an alias or has no plan."""
    rows = await connection.fetch("SELECT part FROM plans WHERE person_id = $1", person_id)
    return sorted({alias for row in rows for alias in _facts.decode(row[0]).aliases})


async def upsert_plans(tx: Tx, plans: Sequence[Plan]) -> None:
    await upsert(tx, PlanRow, _PLAN_COLUMNS, [_row(plan) for plan in plans], key=("person_id", "item"))


def _row(plan: Plan) -> tuple[object, ...]:
    values = msgspec.structs.asdict(plan)
    values["facts"] = _encode(plan.facts)
    return tuple(values.values())


def _plan(row: Any) -> Plan:
    values = dict(row)
    values["facts"] = _facts.decode(values.pop("part"))
    return Plan(**values)
