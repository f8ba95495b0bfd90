"""Store and read visits: the state of each task, and the verdict about each completed visit."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg
from common.calendar import civil_date
from shell.store.transaction import Tx

from supervision.domain.visits import Decision, Period, Visit


class TaskLine(NamedTuple):
    """The newest step of a task. `at`: ISO text. `checked_in_at`, `worker`: None before check-in. `checked_out_at`,
    `reason`: None before check-out. `outcome` counts only after check-out."""

    task_id: str
    person_id: str
    item: str
    division: str
    provider: str | None
    window_from: date
    window_to: date
    state: str
    at: str
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    worker: str | None
    outcome: str | None
    correlation_id: str
    reason: str | None


class UnplacedChange(NamedTuple):
    """A change of one task. `unplaced`: True if now no provider can be asked, False if this has ended."""

    task_id: str
    unplaced: bool


class PersonDecision(NamedTuple):
    """New decisions about a person. `decided_at`: the time of the oldest one. `final`: all visits of the person are
    judged again, because the person has died or the survivor may have changed."""

    person_id: str
    decided_at: str
    final: bool


class VerdictLine(NamedTuple):
    """A verdict to store. `blocks`, `warnings`: check ids separated by commas."""

    task_id: str
    verdict: str
    blocks: str
    warnings: str


class UnreachedPerson(NamedTuple):
    """A person without a valid visit, with the newest task of the month (None: no task)."""

    person_id: str
    division: str | None
    state: str | None
    provider: str | None
    verdict: str | None
    outcome: str | None
    task_id: str | None


_UPSERT: Final = """
WITH changed AS (
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
SELECT task_id, now FROM changed WHERE before <> now
"""
_VISIT: Final = """task_id, person_id, item, division, provider, worker, checked_in_at, checked_out_at, at,
  correlation_id, verdict, blocks, warnings, waived, judgements, reason, outcome,
  coalesce((SELECT p.merged_into FROM people p WHERE p.person_id = tasks.person_id), person_id) AS survivor_id"""
# Visits of the same worker, or for the same item of the same person under any identity, that overlap the given ones, or
# begin when a given one ends. No visit lasts longer than a week.
_OVERLAPPING: Final = f"""
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


async def lock_judging(tx: Tx) -> None:
    """Wait until no other transaction stores decisions or completed visits; the lock ends with this transaction.

    Without it, a visit and a decision, or two visits, stored at once by two processes would not be compared.
    """
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('supervision.judging'))")


async def upsert_tasks(tx: Tx, rows: Sequence[TaskLine]) -> list[UnplacedChange]:
    """Store the newest steps of tasks. Returns the tasks that became unplaced or stopped being unplaced.

    `rows`: unique by task. A completed task never changes again.
    """
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: row.task_id)
    found = await tx.sql.fetch(_UPSERT, *map(list, zip(*ordered, strict=True)))
    return [UnplacedChange(*row) for row in found]


async def list_affected(tx: Tx, decisions: Sequence[PersonDecision]) -> list[str]:
    """Return the task ids of visits whose verdict a new decision may change.

    These are visits that are not verified or have warnings, visits recorded from `decided_at` on, and all visits of a
    person with a `final` decision. Visits under identities that are merged into the person are included.
    """
    rows = await tx.sql.fetch(
        """SELECT t.task_id FROM unnest($1::text[], $2::text[], $3::bool[]) AS u(person_id, decided_at, dead)
           CROSS JOIN LATERAL (
             SELECT u.person_id::uuid UNION ALL SELECT person_id FROM people WHERE merged_into = u.person_id::uuid
           ) i(person_id)
           JOIN tasks t ON t.person_id = i.person_id
           WHERE t.verdict IS NOT NULL
             AND (t.verdict <> 'verified' OR t.warnings <> '' OR u.dead OR t.at >= u.decided_at::timestamptz)""",
        *map(list, zip(*decisions, strict=True)),
    )
    return [row[0] for row in rows]


async def list_waiting(tx: Tx, limit: int) -> list[str]:
    """Return the task ids of the visits that have waited longest for their entitlement."""
    rows = await tx.sql.fetch("SELECT task_id FROM tasks WHERE verdict = 'waiting' ORDER BY at LIMIT $1", limit)
    return [row[0] for row in rows]


async def lock_visits(tx: Tx, task_ids: Iterable[str]) -> list[Visit]:
    """Lock the completed visits among these tasks."""
    rows = await tx.sql.fetch(
        f"""SELECT {_VISIT} FROM tasks WHERE task_id = ANY($1::text[]::uuid[]) AND verdict IS NOT NULL
            ORDER BY task_id FOR UPDATE""",  # noqa: S608 - our own text
        sorted(task_ids),
    )
    return [_visit(row) for row in rows]


async def load_overlapping(tx: Tx, task_ids: Iterable[str]) -> list[Visit]:
    """Return other completed visits of the same worker, or for the same item of the same person under any identity,
    that overlap these in time. A visit that begins when one of these ends is returned, too: `domain.visits.overlap`
    decides."""
    return [_visit(row) for row in await tx.sql.fetch(_OVERLAPPING, sorted(task_ids))]


async def load_decisions(tx: Tx, person_ids: Iterable[str]) -> dict[str, Decision]:
    rows = await tx.sql.fetch(
        """SELECT person_id, decided_at, died_on, visiting_care, visiting_before FROM people
           WHERE person_id = ANY($1::text[]::uuid[])""",
        sorted(set(person_ids)),
    )
    found: dict[str, Decision] = {}
    for person_id, decided_at, died_on, visiting, visiting_before in rows:
        found[person_id] = Decision(decided_at, died_on, _periods(visiting), _periods(visiting_before))
    return found


def _periods(ranges: Iterable[asyncpg.Range]) -> list[Period]:
    return [(r.lower or date.min, r.upper) for r in ranges]


async def save_verdicts(tx: Tx, rows: Sequence[VerdictLine]) -> None:
    """Store verdicts of locked visits, and count a judgement for each."""
    if rows:
        await tx.sql.execute(
            """UPDATE tasks t SET verdict = u.verdict, blocks = u.blocks, warnings = u.warnings,
                      judgements = t.judgements + 1
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                 AS u(task_id, verdict, blocks, warnings) WHERE t.task_id = u.task_id::uuid""",
            *map(list, zip(*rows, strict=True)),
        )


async def waive(tx: Tx, task_id: str, check: str) -> None:
    """Store that a check no longer counts against a visit, because an officer dismissed its finding."""
    await tx.sql.execute(
        """UPDATE tasks SET waived = concat_ws(',', nullif(waived, ''), $2::text)
           WHERE task_id = $1::text::uuid AND NOT $2 = ANY(string_to_array(waived, ','))""",
        task_id,
        check,
    )


def _visit(row: asyncpg.Record) -> Visit:
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
        judgements=row["judgements"],
        survivor_id=row["survivor_id"],
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
    AND (verdict IS NULL OR verdict = 'disputed' OR outcome = 'not_found'
         OR (checked_in_at AT TIME ZONE 'Asia/Shanghai')::date >= $3)
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
) -> list[UnreachedPerson]:
    """Return people with visiting care on a day and no valid visit from the first of its month to that day.

    The task of a valid visit before this month is no task of this month.
    """
    rows = await connection.fetch(_UNREACHED, areas, on, on.replace(day=1), after, limit)
    return [UnreachedPerson(*row) for row in rows]
