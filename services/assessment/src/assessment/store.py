"""The SQL statements of assessment, except those of the self-check.

The lock order is: heads, needs, cases; each by key. A head is the version of a person's newest decision with a digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
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


class Head(NamedTuple):
    """The newest decision about a person. `digest`: see `domain.assessment_digest`."""

    person_id: str
    version: int
    digest: int


class Scoring(NamedTuple):
    """A scored form. `changed_by`: comma-separated codes (`Scored.changed_by`); None if there are none."""

    scale: str
    scale_version: str
    form: bytes
    form_digest: bytes
    assessed_on: date
    total: int | None
    level: int
    changed_by: str | None
    submitted_by: str


class StoredCase(NamedTuple):
    """A case as stored, or as it was known at an earlier instant. `scoring`: None if no form is submitted, or if a
    later form has replaced the form of that instant."""

    case: Case
    requested_at: datetime
    due_on: date | None
    cancelled_for: str | None
    signed_by: str | None
    signed_at: datetime | None
    scoring: Scoring | None


_OWN_COLUMNS: Final = ("requested_at", "due_on", "cancelled_for", "signed_by", "signed_at")
_STORED_COLUMNS: Final = ", ".join((*_CASE, *_OWN_COLUMNS, *Scoring._fields))
_STORED: Final = f"SELECT {_STORED_COLUMNS} FROM cases"  # noqa: S608
# The instant since which a column has its stored value. The other columns never change.
_SINCE: Final = {
    "cancelled_for": "cancelled_at",
    "signed_by": "signed_at",
    "signed_at": "signed_at",
    **dict.fromkeys(Scoring._fields, "form_at"),
}
_STATE_THEN: Final = """CASE WHEN signed_at <= known_at THEN 'signed' WHEN cancelled_at <= known_at THEN 'cancelled'
  WHEN scored_at <= known_at THEN 'scored' ELSE 'requested' END AS state"""


def _column_then(name: str) -> str:
    """Return the expression for a column of a case as it was known at `known_at`."""
    if name == "state":
        return _STATE_THEN
    since = _SINCE.get(name)
    return f"CASE WHEN {since} <= known_at THEN {name} END AS {name}" if since else name


_CASES_THEN: Final = f"""
SELECT {", ".join(map(_column_then, (*_CASE, *_OWN_COLUMNS, *Scoring._fields)))}
FROM (SELECT *, coalesce($2, 'infinity'::timestamptz) AS known_at FROM cases WHERE person_id = $1) c
WHERE requested_at <= known_at AND ($3::uuid IS NULL OR (requested_at, assessment_id) < (
  SELECT requested_at, assessment_id FROM cases WHERE assessment_id = $3))
ORDER BY requested_at DESC, assessment_id DESC LIMIT $4
"""  # noqa: S608


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


async def lock_person(tx: Tx, person_id: str) -> bool:
    """Lock a person's head. Returns whether the person is known. The lock prevents a second case in another
    transaction."""
    return bool(await tx.sql.fetchval("SELECT 1 FROM heads WHERE person_id = $1 FOR UPDATE", person_id))


async def lock_needs(tx: Tx, person_ids: Iterable[str]) -> dict[str, Need]:
    rows = await tx.sql.fetch(
        f"{_NEEDS} WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR UPDATE", sorted(person_ids)
    )
    return {row["person_id"]: _need(row) for row in rows}


async def lock_due_needs(tx: Tx, today: date, limit: int) -> list[Need]:
    """Lock at most `limit` needs whose day of action has come, the oldest first. Locked rows are skipped, so this
    statement may leave the lock order."""
    rows = await tx.sql.fetch(
        f"{_NEEDS} WHERE act_on <= $1 ORDER BY act_on LIMIT $2 FOR UPDATE SKIP LOCKED", today, limit
    )
    return [_need(row) for row in rows]


async def page_needs(connection: asyncpg.Connection, after: str, limit: int) -> list[Need]:
    rows = await connection.fetch(f"{_NEEDS} WHERE person_id > $1 ORDER BY person_id LIMIT $2", after, limit)
    return [_need(row) for row in rows]


async def upsert_needs(tx: Tx, needs: Sequence[Need]) -> None:
    await upsert(tx, NeedRow, _NEED, [_row(need) for need in needs], key=("person_id",))


def _row(need: Need) -> tuple[object, ...]:
    values = msgspec.structs.asdict(need)
    values["periods"] = _encode(need.periods)
    return tuple(values.values())


def _need(row: Any) -> Need:
    values = dict(row)
    values["periods"] = _periods.decode(values["periods"])
    return Need(**values)


async def lock_open_cases(tx: Tx, person_ids: Sequence[str]) -> dict[str, Case]:
    rows = await tx.sql.fetch(f"{_OPEN_CASES} ORDER BY assessment_id FOR UPDATE", person_ids)
    return _by_person(rows)


async def load_open_cases(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, Case]:
    """Load the open cases by person id, without a lock."""
    return _by_person(await connection.fetch(_OPEN_CASES, person_ids))


def _by_person(rows: Iterable[Any]) -> dict[str, Case]:
    cases = [Case(**row) for row in rows]
    return {case.person_id: case for case in cases}


async def load_results(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, list[Result]]:
    """Load all signed results by person id."""
    rows = await connection.fetch(f"{_RESULTS} WHERE person_id = ANY($1::uuid[])", person_ids)
    found: dict[str, list[Result]] = {}
    for person_id, *values in rows:
        found.setdefault(person_id, []).append(Result(*values))
    return found


async def insert_cases(
    tx: Tx, cases: Sequence[Case], requested_at: datetime, due_on: Sequence[date | None]
) -> set[str]:
    """Insert the cases that do not exist yet. Returns their ids. `due_on`: one day for each case."""
    rows = [(*msgspec.structs.astuple(case), requested_at, due) for case, due in zip(cases, due_on, strict=True)]
    return await insert_new(tx, CaseRow, (*_CASE, "requested_at", "due_on"), rows, returning="assessment_id")


async def cancel_cases(tx: Tx, reasons: Mapping[str, str], cancelled_at: datetime) -> None:
    """Cancel cases. `reasons`: by assessment id."""
    ordered = sorted(reasons)
    await tx.sql.execute(
        """UPDATE cases c SET state = 'cancelled', cancelled_for = u.reason, cancelled_at = $3
           FROM unnest($1::uuid[], $2::text[]) AS u(assessment_id, reason) WHERE c.assessment_id = u.assessment_id""",
        ordered,
        [reasons[assessment_id] for assessment_id in ordered],
        cancelled_at,
    )


async def lock_case(tx: Tx, assessment_id: str) -> StoredCase | None:
    """Lock the need of a case's person, then the case. None for an unknown case."""
    person_id = await tx.sql.fetchval("SELECT person_id FROM cases WHERE assessment_id = $1", assessment_id)
    if person_id is None:
        return None
    await lock_needs(tx, [person_id])
    return await _fetch_case(tx.sql, f"{_STORED} WHERE assessment_id = $1 FOR UPDATE", assessment_id)


async def find_by_form(tx: Tx, person_id: str, form_digest: bytes) -> StoredCase | None:
    """Find the case of a person for which this form was ever stored and that is not cancelled."""
    query = f"""{_STORED} c WHERE person_id = $1 AND state <> 'cancelled' AND EXISTS (
      SELECT 1 FROM case_forms f WHERE f.assessment_id = c.assessment_id AND f.form_digest = $2)"""  # noqa: S608
    return await _fetch_case(tx.sql, query, person_id, form_digest)


async def fill_case(tx: Tx, assessment_id: str, scoring: Scoring, form_at: datetime) -> StoredCase:
    """Store a scored form, in place of an earlier one that is not signed. Returns the case after the change."""
    assigned = ", ".join(f"{name} = ${i}" for i, name in enumerate(Scoring._fields, 3))
    row = await tx.sql.fetchrow(
        f"""UPDATE cases SET state = 'scored', scored_at = coalesce(scored_at, $2), form_at = $2, {assigned}
            WHERE assessment_id = $1 RETURNING {_STORED_COLUMNS}""",  # noqa: S608
        assessment_id,
        form_at,
        *scoring,
    )
    await tx.sql.execute(
        "INSERT INTO case_forms (assessment_id, form_digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        assessment_id,
        scoring.form_digest,
    )
    return _stored(row)


async def sign_case(tx: Tx, assessment_id: str, signed_by: str, signed_at: datetime) -> StoredCase:
    """Store the signature of a case. Returns the case after the change."""
    row = await tx.sql.fetchrow(
        f"""UPDATE cases SET state = 'signed', signed_by = $2, signed_at = $3 WHERE assessment_id = $1
            RETURNING {_STORED_COLUMNS}""",  # noqa: S608
        assessment_id,
        signed_by,
        signed_at,
    )
    return _stored(row)


async def _fetch_case(connection: asyncpg.Connection, query: str, *values: object) -> StoredCase | None:
    row = await connection.fetchrow(query, *values)
    return _stored(row) if row else None


async def append_result(tx: Tx, person_id: str, result: Result) -> None:
    await tx.sql.execute(
        """INSERT INTO results (person_id, assessment_id, scale, scale_version, level, valid_from, valid_until,
             recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        person_id,
        *result,
    )


async def load_case(connection: asyncpg.Connection, assessment_id: str) -> StoredCase | None:
    return await _fetch_case(connection, f"{_STORED} WHERE assessment_id = $1", assessment_id)


async def page_cases(
    connection: asyncpg.Connection, person_id: str, *, known_at: datetime | None, after: str | None, limit: int
) -> list[StoredCase]:
    """Return the cases of a person as they were known at `known_at` (None: now), newest first, at most `limit`.

    `after`: the last assessment of the page before. A form that was replaced after `known_at` is not shown.
    """
    rows = await connection.fetch(_CASES_THEN, person_id, known_at, after, limit)
    return [_stored(row) for row in rows]


async def list_results(connection: asyncpg.Connection, person_id: str, known_at: datetime | None) -> list[Result]:
    """The results of a person that were recorded up to `known_at` (None: all)."""
    rows = await connection.fetch(
        f"{_RESULTS} WHERE person_id = $1 AND ($2::timestamptz IS NULL OR recorded_at <= $2)", person_id, known_at
    )
    return [Result(*list(row)[1:]) for row in rows]


async def load_need(connection: asyncpg.Connection, person_id: str) -> Need | None:
    row = await connection.fetchrow(f"{_NEEDS} WHERE person_id = $1", person_id)
    return _need(row) if row else None


def _stored(row: Any) -> StoredCase:
    values = dict(row)
    scoring = Scoring(*(values.pop(name) for name in Scoring._fields))
    own = {name: values.pop(name) for name in _OWN_COLUMNS}
    return StoredCase(case=Case(**values), scoring=scoring if scoring.form is not None else None, **own)
