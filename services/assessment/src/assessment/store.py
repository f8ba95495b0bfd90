"""Every SQL statement of assessment. Locks are taken in one order: heads, needs, cases; each by key."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from shell.store.bulk import insert_new, upsert
from shell.store.transaction import Tx

from assessment.domain import Case, Need, Period, Result
from assessment.tables import CaseRow, NeedRow

NO_ID: Final = str(UUID(int=0))
_periods = msgspec.json.Decoder(tuple[Period, ...])
_encode = msgspec.json.Encoder().encode
_NEED: Final = tuple(Need.__struct_fields__)
_NEEDS: Final = f"SELECT {', '.join(_NEED)} FROM needs"  # noqa: S608
_CASE: Final = tuple(Case.__struct_fields__)
_OPEN_CASES: Final = f"""SELECT {", ".join(_CASE)} FROM cases
  WHERE person_id = ANY($1::uuid[]) AND state IN ('requested', 'scored')"""  # noqa: S608
_RESULTS: Final = f"SELECT person_id, {', '.join(Result._fields)} FROM results"  # noqa: S608


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


async def lock_person(tx: Tx, person_id: str) -> bool:
    """Whether the person is known; if so, nobody else opens a case for them meanwhile."""
    return bool(await tx.sql.fetchval("SELECT 1 FROM heads WHERE person_id = $1 FOR UPDATE", person_id))


async def lock_needs(tx: Tx, person_ids: Iterable[str]) -> dict[str, Need]:
    rows = await tx.sql.fetch(
        f"{_NEEDS} WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR UPDATE", sorted(person_ids)
    )
    return {row["person_id"]: _need(row) for row in rows}


async def lock_due_needs(tx: Tx, today: date, limit: int) -> list[Need]:
    rows = await tx.sql.fetch(
        f"{_NEEDS} WHERE act_on <= $1 ORDER BY act_on LIMIT $2 FOR UPDATE SKIP LOCKED", today, limit
    )
    return [_need(row) for row in rows]


async def page_needs(connection: asyncpg.Connection, after: str, limit: int) -> list[Need]:
    rows = await connection.fetch(f"{_NEEDS} WHERE person_id > $1 ORDER BY person_id LIMIT $2", after, limit)
    return [_need(row) for row in rows]


async def upsert_needs(tx: Tx, needs: Sequence[Need]) -> None:
    rows = [tuple(_encode(n.periods) if c == "periods" else getattr(n, c) for c in _NEED) for n in needs]
    await upsert(tx, NeedRow, _NEED, rows, key=("person_id",))


def _need(row: Any) -> Need:
    return Need(**{**row, "periods": _periods.decode(row["periods"])})


async def lock_open_cases(tx: Tx, person_ids: Sequence[str]) -> dict[str, Case]:
    rows = await tx.sql.fetch(f"{_OPEN_CASES} ORDER BY assessment_id FOR UPDATE", person_ids)
    return {row["person_id"]: Case(**row) for row in rows}


async def open_cases(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, Case]:
    return {row["person_id"]: Case(**row) for row in await connection.fetch(_OPEN_CASES, person_ids)}


async def results_of(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, list[Result]]:
    rows = await connection.fetch(f"{_RESULTS} WHERE person_id = ANY($1::uuid[])", person_ids)
    found: dict[str, list[Result]] = {}
    for row in rows:
        found.setdefault(row["person_id"], []).append(Result(*list(row)[1:]))
    return found


async def insert_cases(
    tx: Tx, cases: Sequence[Case], requested_at: datetime, due_on: Sequence[date | None]
) -> set[str]:
    """The ids that were new."""
    rows = [(*msgspec.structs.astuple(case), requested_at, due) for case, due in zip(cases, due_on, strict=True)]
    return await insert_new(tx, CaseRow, (*_CASE, "requested_at", "due_on"), rows, returning="assessment_id")


async def cancel_cases(tx: Tx, reasons: dict[str, str]) -> None:
    ordered = sorted(reasons)
    await tx.sql.execute(
        """UPDATE cases c SET state = 'cancelled', cancelled_for = u.reason
           FROM unnest($1::uuid[], $2::text[]) AS u(assessment_id, reason) WHERE c.assessment_id = u.assessment_id""",
        ordered,
        [reasons[assessment_id] for assessment_id in ordered],
    )


async def lock_case(tx: Tx, assessment_id: str) -> Any:
    """The whole row, after its person's need is locked."""
    person_id = await tx.sql.fetchval("SELECT person_id FROM cases WHERE assessment_id = $1", assessment_id)
    if person_id is None:
        return None
    await lock_needs(tx, [person_id])
    return await tx.sql.fetchrow("SELECT * FROM cases WHERE assessment_id = $1 FOR UPDATE", assessment_id)


async def find_by_form(tx: Tx, person_id: str, form_digest: bytes) -> Any:
    """The assessment that already holds this very form."""
    return await tx.sql.fetchrow(
        "SELECT * FROM cases WHERE person_id = $1 AND form_digest = $2 AND state <> 'cancelled'", person_id, form_digest
    )


async def fill_case(tx: Tx, assessment_id: str, columns: dict[str, Any]) -> Any:
    """Store what was found and scored; the row afterwards."""
    names = list(columns)
    assigned = ", ".join(f"{name} = ${i}" for i, name in enumerate(names, 2))
    return await tx.sql.fetchrow(
        f"UPDATE cases SET state = 'scored', {assigned} WHERE assessment_id = $1 RETURNING *",  # noqa: S608
        assessment_id,
        *columns.values(),
    )


async def sign_case(tx: Tx, assessment_id: str, signed_by: str, signed_at: datetime) -> Any:
    return await tx.sql.fetchrow(
        """UPDATE cases SET state = 'signed', signed_by = $2, signed_at = $3 WHERE assessment_id = $1 RETURNING *""",
        assessment_id,
        signed_by,
        signed_at,
    )


async def append_result(tx: Tx, person_id: str, result: Result) -> None:
    await tx.sql.execute(
        """INSERT INTO results (person_id, assessment_id, scale, scale_version, level, valid_from, valid_until,
             recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        person_id,
        *result,
    )


async def show_case(connection: asyncpg.Connection, assessment_id: str) -> Any:
    return await connection.fetchrow("SELECT * FROM cases WHERE assessment_id = $1", assessment_id)


async def list_cases(connection: asyncpg.Connection, person_id: str, limit: int) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        "SELECT * FROM cases WHERE person_id = $1 ORDER BY requested_at DESC, assessment_id LIMIT $2", person_id, limit
    )
    return rows


async def list_results(connection: asyncpg.Connection, person_id: str, known_at: datetime | None) -> list[Result]:
    rows = await connection.fetch(
        f"{_RESULTS} WHERE person_id = $1 AND ($2::timestamptz IS NULL OR recorded_at <= $2)", person_id, known_at
    )
    return [Result(*list(row)[1:]) for row in rows]


async def show_need(connection: asyncpg.Connection, person_id: str) -> Need | None:
    row = await connection.fetchrow(f"{_NEEDS} WHERE person_id = $1", person_id)
    return _need(row) if row else None
