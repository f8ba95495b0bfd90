"""Visits: how far each has come, and what was found about it."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import asyncpg
from common.calendar import civil_date
from shell.store.transaction import Tx

from supervision.domain.visits import Known, Visit

_UPSERT: Final = """
WITH told AS (
INSERT INTO tasks AS t (task_id, person_id, item, division, provider, window_from, window_to, state, at,
                        checked_in_at, checked_out_at, worker, outcome, correlation_id, verdict, reason)
SELECT a::uuid, b::uuid, c, d, e, f, g, h, i::timestamptz, j, k, l, CASE WHEN k IS NOT NULL THEN m END, n::uuid,
       CASE WHEN k IS NOT NULL THEN 'waiting' END, CASE WHEN k IS NOT NULL THEN o END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::text[],
            $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[], $15::text[])
  AS u(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
ON CONFLICT (task_id) DO UPDATE SET
  provider = coalesce(excluded.provider, t.provider), division = excluded.division,
  window_from = excluded.window_from, window_to = excluded.window_to, state = excluded.state, at = excluded.at,
  checked_in_at = coalesce(excluded.checked_in_at, t.checked_in_at), checked_out_at = excluded.checked_out_at,
  worker = coalesce(excluded.worker, t.worker), outcome = excluded.outcome,
  correlation_id = excluded.correlation_id, verdict = excluded.verdict, reason = excluded.reason
WHERE t.state <> 'completed' AND (excluded.state = 'completed' OR t.at <= excluded.at)
RETURNING new.task_id, coalesce(old.state, '') = 'unplaced' AS before, new.state = 'unplaced' AS now)
SELECT task_id, now FROM told WHERE before <> now
"""
_VISIT: Final = """task_id, person_id, item, division, provider, worker, checked_in_at, checked_out_at, at,
  correlation_id, verdict, blocks, warnings, waived, reason, outcome,
  coalesce((SELECT p.merged_into FROM people p WHERE p.person_id = tasks.person_id), person_id) AS human"""
# A worker's or a human's visits, whatever their number, that touch the given ones; none lasts longer than a week.
_TOUCHING: Final = f"""
SELECT {_VISIT} FROM tasks WHERE task_id IN (
  SELECT o.task_id FROM tasks t JOIN tasks o ON o.provider = t.provider AND o.worker = t.worker
    AND o.checked_in_at BETWEEN t.checked_in_at - interval '7 days' AND t.checked_out_at
  WHERE t.task_id = ANY($1::text[]::uuid[]) AND o.checked_out_at > t.checked_in_at AND o.task_id <> t.task_id
  UNION
  SELECT o.task_id FROM tasks t
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT merged_into FROM people WHERE person_id = t.person_id), t.person_id)) h(id)
  CROSS JOIN LATERAL (SELECT h.id UNION ALL SELECT person_id FROM people WHERE merged_into = h.id) i(person_id)
  JOIN tasks o ON o.person_id = i.person_id AND o.item = t.item
    AND o.checked_in_at BETWEEN t.checked_in_at - interval '7 days' AND t.checked_out_at
  WHERE t.task_id = ANY($1::text[]::uuid[]) AND o.checked_out_at > t.checked_in_at AND o.task_id <> t.task_id)
"""  # noqa: S608 - our own text


async def upsert_tasks(tx: Tx, rows: Sequence[Sequence[Any]]) -> list[tuple[str, bool]]:
    """task_id, person_id, item, division, provider, window_from, window_to, state, at, checked_in_at, checked_out_at,
    worker, outcome, correlation_id, reason; unique by task. A completed task stays as it was checked out.

    Returns the tasks that became unplaced by this (True), or are unplaced no longer (False)."""
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: str(row[0]))
    found = await tx.sql.fetch(_UPSERT, *[list(column) for column in zip(*ordered, strict=True)])
    return [(row["task_id"], row["now"]) for row in found]


async def list_open_to_judgement(tx: Tx, decided: Sequence[tuple[str, str, bool]]) -> list[str]:
    """Visits whose verdict a new decision (person, when, dead or another human) may change: there is none yet, or a
    finding, or that; or the visit came after the decision, though it was read before it."""
    rows = await tx.sql.fetch(
        """SELECT t.task_id FROM unnest($1::text[], $2::text[], $3::bool[]) AS u(person_id, decided_at, dead)
           JOIN tasks t ON t.person_id = u.person_id::uuid
           WHERE t.verdict IS NOT NULL
             AND (t.verdict <> 'verified' OR t.warnings <> '' OR u.dead OR t.at >= u.decided_at::timestamptz)""",
        *[list(column) for column in zip(*decided, strict=True)],
    )
    return [row[0] for row in rows]


async def list_waiting(tx: Tx, limit: int) -> list[str]:
    """The visits that have waited longest for their entitlement."""
    rows = await tx.sql.fetch("SELECT task_id FROM tasks WHERE verdict = 'waiting' ORDER BY at LIMIT $1", limit)
    return [row[0] for row in rows]


async def lock_visits(tx: Tx, task_ids: Iterable[str]) -> list[Visit]:
    rows = await tx.sql.fetch(
        f"""SELECT {_VISIT} FROM tasks WHERE task_id = ANY($1::text[]::uuid[]) AND verdict IS NOT NULL
            ORDER BY task_id FOR UPDATE""",  # noqa: S608 - our own text
        sorted(task_ids),
    )
    return [_visit(row) for row in rows]


async def load_touching(tx: Tx, task_ids: Iterable[str]) -> list[Visit]:
    """Other completed visits of the same worker or the same human that overlap these in time."""
    return [_visit(row) for row in await tx.sql.fetch(_TOUCHING, sorted(task_ids))]


async def load_known(tx: Tx, person_ids: Iterable[str]) -> dict[str, Known]:
    rows = await tx.sql.fetch(
        """SELECT person_id, decided_at, died_on, visiting_care, visiting_before FROM people
           WHERE person_id = ANY($1::text[]::uuid[])""",
        sorted(set(person_ids)),
    )
    return {
        row["person_id"]: Known(
            row["decided_at"],
            row["died_on"],
            [(r.lower or date.min, r.upper) for r in row["visiting_care"]],
            [(r.lower or date.min, r.upper) for r in row["visiting_before"]],
        )
        for row in rows
    }


async def save_verdicts(tx: Tx, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """task_id, verdict, blocks, warnings."""
    if rows:
        await tx.sql.execute(
            """UPDATE tasks t SET verdict = u.verdict, blocks = u.blocks, warnings = u.warnings
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                 AS u(task_id, verdict, blocks, warnings) WHERE t.task_id = u.task_id::uuid""",
            *[list(column) for column in zip(*rows, strict=True)],
        )


async def waive(tx: Tx, task_id: str, check: str) -> None:
    """An officer has looked: this check no longer counts against this visit."""
    await tx.sql.execute(
        """UPDATE tasks SET waived = concat_ws(',', nullif(waived, ''), $2::text)
           WHERE task_id = $1::text::uuid AND NOT $2 = ANY(string_to_array(waived, ','))""",
        task_id,
        check,
    )


def _visit(row: Any) -> Visit:
    return Visit(
        task_id=row["task_id"],
        person_id=row["person_id"],
        item=row["item"],
        division=row["division"],
        provider=row["provider"],
        worker=row["worker"],
        checked_in_at=row["checked_in_at"],
        checked_out_at=row["checked_out_at"],
        at=row["at"],
        visited_on=civil_date(row["checked_in_at"]),
        ended_on=civil_date(row["checked_out_at"]),
        recorded_on=civil_date(row["at"]),
        correlation_id=row["correlation_id"],
        verdict=row["verdict"],
        blocks=_set(row["blocks"]),
        warnings=_set(row["warnings"]),
        waived=_set(row["waived"]),
        human=row["human"],
        reason=row["reason"],
        outcome=row["outcome"] or "seen",
    )


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


_UNREACHED: Final = """
SELECT p.person_id, p.division, t.state, t.provider, t.verdict, t.outcome, t.task_id
FROM (SELECT *, person_id || ARRAY(SELECT a.person_id FROM people a WHERE a.merged_into = h.person_id) AS identities
      FROM people h WHERE merged_into IS NULL) p
LEFT JOIN LATERAL (
  SELECT state, provider, verdict, outcome, task_id FROM tasks
  WHERE person_id = ANY(p.identities) AND item = 'visiting_care' AND window_from <= $2 AND window_to > $3
  ORDER BY at DESC, task_id DESC LIMIT 1) t ON true
WHERE ($1::text[] IS NULL OR p.division = ANY($1)) AND (p.died_on IS NULL OR p.died_on > $2)
  AND p.visiting_care @> $2 AND ($4::uuid IS NULL OR p.person_id > $4)
  AND NOT EXISTS (
    SELECT FROM tasks v WHERE v.person_id = ANY(p.identities) AND v.item = 'visiting_care' AND v.verdict <> 'disputed'
      AND v.outcome <> 'not_found' AND (v.checked_in_at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $3 AND $2)
ORDER BY p.person_id LIMIT $5
"""


async def list_unreached(
    connection: asyncpg.Connection, areas: list[str] | None, on: date, *, after: str | None, limit: int
) -> list[Any]:
    """People with visiting care on that day and no valid visit in its month so far, with their newest task."""
    rows: list[Any] = await connection.fetch(_UNREACHED, areas, on, on.replace(day=1), after, limit)
    return rows
