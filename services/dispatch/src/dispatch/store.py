"""Every SQL statement of dispatch. Locks are taken in one order: heads, plans, tasks, providers; each by key."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from common.bulk import insert_new, upsert
from common.codes import divisions
from common.transaction import Tx

from dispatch.domain.market import Provider
from dispatch.domain.plan import Part, Plan
from dispatch.domain.task import OPEN, Task
from dispatch.tables import PlanRow, TaskRow

NO_ID: Final = str(UUID(int=0))
_part = msgspec.json.Decoder(Part)
_encode = msgspec.json.Encoder().encode
_PLAN_COLUMNS: Final = tuple(Plan.__struct_fields__)
_TASK_COLUMNS: Final = tuple(Task.__struct_fields__)
_PLANS: Final = f"SELECT {', '.join(_PLAN_COLUMNS)} FROM plans"  # noqa: S608
_TASKS: Final = f"SELECT {', '.join(_TASK_COLUMNS)} FROM tasks"  # noqa: S608


# ── heads and plans ──────────────────────────────────────────────────────────────────────────────────────────────


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


async def upsert_plans(tx: Tx, plans: Sequence[Plan]) -> None:
    rows = [(*msgspec.structs.astuple(plan)[:-2], _encode(plan.part), plan.correlation_id) for plan in plans]
    await upsert(tx, PlanRow, _PLAN_COLUMNS, rows, key=("person_id", "item"))


def _plan(row: Any) -> Plan:
    return Plan(**{**row, "part": _part.decode(row["part"])})


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def lock_tasks(tx: Tx, task_ids: Iterable[str]) -> dict[str, Task]:
    rows = await tx.sql.fetch(
        f"{_TASKS} WHERE task_id = ANY($1::uuid[]) ORDER BY task_id FOR UPDATE", sorted(set(task_ids))
    )
    return {row["task_id"]: _task(row) for row in rows}


async def lock_live_tasks(tx: Tx, person_ids: Sequence[str], today: date) -> dict[tuple[str, str], list[Task]]:
    """By person and item: the open ones, and completed ones whose window reaches beyond today."""
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE person_id = ANY($1::uuid[])
              AND (act_at IS NOT NULL OR (state = 'completed' AND window_to > $2)) ORDER BY task_id FOR UPDATE""",
        person_ids,
        today,
    )
    found: dict[tuple[str, str], list[Task]] = {}
    for row in rows:
        found.setdefault((row["person_id"], row["item"]), []).append(_task(row))
    return found


async def list_due_tasks(tx: Tx, now: datetime, limit: int) -> list[tuple[str, str]]:
    """(task, person) whose time has come; not locked yet."""
    rows = await tx.sql.fetch(
        "SELECT task_id, person_id FROM tasks WHERE act_at <= $1 ORDER BY act_at LIMIT $2", now, limit
    )
    return [(row[0], row[1]) for row in rows]


async def person_of_task(connection: asyncpg.Connection, task_id: str) -> str | None:
    found: str | None = await connection.fetchval("SELECT person_id FROM tasks WHERE task_id = $1", task_id)
    return found


async def persons_of_tasks(tx: Tx, task_ids: Iterable[str]) -> set[str]:
    rows = await tx.sql.fetch("SELECT person_id FROM tasks WHERE task_id = ANY($1::uuid[])", list(task_ids))
    return {row[0] for row in rows}


async def insert_tasks(tx: Tx, tasks: Sequence[Task]) -> set[str]:
    """The ids that were new; the others exist already, made on another path."""
    if not tasks:
        return set()
    ordered = sorted(tasks, key=lambda task: task.task_id)
    fresh = await insert_new(tx, TaskRow, _TASK_COLUMNS, [_row(task) for task in ordered], returning="task_id")
    await _insert_areas(tx, {task.division for task in tasks})
    return fresh


async def update_tasks(tx: Tx, tasks: Sequence[Task]) -> None:
    """What may change of a task, for tasks that the caller has locked."""
    if not tasks:
        return
    await tx.sql.execute(
        """UPDATE tasks t SET state = u.state, provider = u.provider, cause = u.cause, accept_by = u.accept_by,
             checked_in_at = u.checked_in_at, checked_out_at = u.checked_out_at, worker = u.worker,
             outcome = u.outcome, tried = u.tried, act_at = u.act_at, entitlement_id = u.entitlement_id
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
             $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::uuid[])
             AS u(task_id, state, provider, cause, accept_by, checked_in_at, checked_out_at, worker, outcome, tried,
                  act_at, entitlement_id)
           WHERE t.task_id = u.task_id""",
        [t.task_id for t in tasks],
        [t.state for t in tasks],
        [t.provider for t in tasks],
        [t.cause for t in tasks],
        [t.accept_by for t in tasks],
        [t.checked_in_at for t in tasks],
        [t.checked_out_at for t in tasks],
        [t.worker for t in tasks],
        [t.outcome for t in tasks],
        [",".join(t.tried) for t in tasks],
        [t.act_at for t in tasks],
        [t.entitlement_id for t in tasks],
    )


async def set_verdicts(tx: Tx, verdicts: Sequence[tuple[str, str]]) -> None:
    await tx.sql.execute(
        """UPDATE tasks t SET verdict = u.verdict FROM unnest($1::uuid[], $2::text[]) AS u(task_id, verdict)
           WHERE t.task_id = u.task_id""",
        [task_id for task_id, _ in verdicts],
        [verdict for _, verdict in verdicts],
    )


async def list_unplaced(tx: Tx, after: str, limit: int) -> list[Task]:
    """Tasks nobody could be asked for, in the order of their ids, not locked."""
    rows = await tx.sql.fetch(
        f"""{_TASKS} WHERE state = 'planned' AND cause IS NOT NULL AND task_id > $1 ORDER BY task_id LIMIT $2""",
        after,
        limit,
    )
    return [_task(row) for row in rows]


async def append_answer(
    tx: Tx, task_id: str, provider: str, answer: str, at: datetime, received_at: datetime, via: str, refused: str | None
) -> None:
    await tx.sql.execute(
        """INSERT INTO answers (task_id, provider, answer, at, received_at, via, refused)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        task_id,
        provider,
        answer,
        at,
        received_at,
        via,
        refused,
    )


async def _insert_areas(tx: Tx, codes: Iterable[str]) -> None:
    pairs = sorted((area, code) for code in codes for area in (code, *divisions.ancestors(code)))
    await tx.sql.execute(
        "INSERT INTO areas (area, division) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
        [area for area, _ in pairs],
        [code for _, code in pairs],
    )


def _row(task: Task) -> tuple[Any, ...]:
    return tuple(",".join(task.tried) if c == "tried" else getattr(task, c) for c in _TASK_COLUMNS)


def _task(row: Any) -> Task:
    return Task(**{**row, "tried": tuple(filter(None, row["tried"].split(",")))})


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────────


async def load_market(tx: Tx, areas: Iterable[str]) -> list[Provider]:
    """The providers that serve any of `areas`, with what they have in hand."""
    rows = await tx.sql.fetch(
        """SELECT p.uscc, p.items, p.capacity_per_day, string_agg(a.division, ',') AS divisions,
             (SELECT count(*) FROM tasks t WHERE t.provider = p.uscc AND t.state = ANY($2::text[])) AS open_tasks
           FROM provider_areas a JOIN providers p USING (uscc)
           WHERE a.division = ANY($1::text[]) GROUP BY p.uscc""",
        list(areas),
        sorted(OPEN - {"planned"}),
    )
    return [
        Provider(
            uscc=row["uscc"],
            divisions=tuple(row["divisions"].split(",")),
            items=tuple(row["items"].split(",")),
            capacity_per_day=row["capacity_per_day"],
            open_tasks=row["open_tasks"],
        )
        for row in rows
    ]
