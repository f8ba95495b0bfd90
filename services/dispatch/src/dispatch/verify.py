"""Whether what dispatch stores agrees with itself: `check` names every disagreement, by ids and never by name."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Final

import asyncpg
import msgspec
from common.database import Database
from common.outbox import WIRE_COLUMNS, wires
from rules.visits import Run, VisitRules, next_window, runs

from dispatch import store
from dispatch.domain.beside import reverification
from dispatch.domain.plan import Plan
from dispatch.feed import RETENTION_DAYS
from dispatch.settling import visit_rules

PAGE: Final = 1_000
PROBLEMS_MAX: Final = 200


class _ForProvider(msgspec.Struct):
    provider: str


_decode = msgspec.json.Decoder(_ForProvider).decode

_QUERIES: Final = (
    (
        "task {}: open although the person has died or the plan has ended",
        """SELECT t.task_id FROM tasks t JOIN plans p USING (person_id, item)
           WHERE t.act_at IS NOT NULL AND p.state IN ('waiting', 'stopped')
             AND NOT (t.state = 'in_progress' AND p.cause IN ('not_entitled', 'superseded'))""",
    ),
    (
        "task {}: open without a plan",
        """SELECT t.task_id FROM tasks t LEFT JOIN plans p USING (person_id, item)
           WHERE t.act_at IS NOT NULL AND p.person_id IS NULL""",
    ),
    (
        "person {}: two open routine visits overlap",
        """SELECT a.person_id FROM tasks a JOIN tasks b USING (person_id, item)
           WHERE a.task_id < b.task_id AND a.act_at IS NOT NULL AND b.act_at IS NOT NULL
             AND a.reason IN ('first', 'plan') AND b.reason IN ('first', 'plan')
             AND a.state <> 'in_progress' AND b.state <> 'in_progress'
             AND a.window_from < b.window_to AND b.window_from < a.window_to""",
    ),
    (
        "person {}: has been granted visits but has no plan",
        """SELECT h.person_id FROM heads h LEFT JOIN plans p USING (person_id)
           WHERE h.digest <> 0 AND p.person_id IS NULL""",
    ),
    (
        "task {}: completed without a check-in before its check-out, within its window",
        """SELECT task_id FROM tasks WHERE state = 'completed' AND (checked_in_at IS NULL OR checked_out_at IS NULL
             OR checked_out_at < checked_in_at
             OR NOT (checked_in_at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN window_from AND window_to - 1)""",
    ),
    (
        "provider {}: has not so many tasks in hand as its row says",
        """SELECT p.uscc FROM providers p WHERE p.open_tasks <>
             (SELECT count(*) FROM tasks t
              WHERE t.provider = p.uscc AND t.state IN ('offered', 'accepted', 'in_progress'))""",
    ),
    (
        "feed of {}: holds a message meant for another, about no task, or out of number",
        """SELECT DISTINCT f.provider FROM feed f JOIN providers p ON p.uscc = f.provider
             LEFT JOIN tasks t USING (task_id)
           WHERE t.task_id IS NULL OR f.seq > p.feed_seq
              OR convert_from(f.payload, 'UTF8')::jsonb->>'provider' <> f.provider
              OR convert_from(f.payload, 'UTF8')::jsonb->>'task_id' <> f.task_id::text""",
    ),
)
_ON_THE_DAY: Final = (
    (
        "task {}: its window has passed and nothing was recorded",
        """SELECT task_id FROM tasks WHERE state IN ('planned', 'offered', 'accepted') AND window_to < $1""",
    ),
    (
        "task {}: in a provider's hands, but the provider was never told",
        f"""SELECT t.task_id FROM tasks t WHERE t.state IN ('offered', 'accepted') AND t.window_to > $1
             AND t.window_from > $1 - {RETENTION_DAYS - 10}
             AND NOT EXISTS (SELECT 1 FROM feed f WHERE f.provider = t.provider AND f.task_id = t.task_id)""",  # noqa: S608
    ),
)


async def check(database: Database, today: date) -> list[str]:
    """Faults found, at most 200: entitled people without a plan, elapsed windows without an end, anything open for
    the dead, providers told of others' tasks. What the clock does at its next step today is no fault."""
    found: list[str] = []
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for words, query in _QUERIES:
            found += [words.format(row[0]) for row in await connection.fetch(f"{query} LIMIT {PROBLEMS_MAX}")]
        for words, query in _ON_THE_DAY:
            found += [words.format(row[0]) for row in await connection.fetch(f"{query} LIMIT {PROBLEMS_MAX}", today)]
        for faults in (_plan_faults(connection, today), _misdirected(connection)):
            async for fault in faults:
                found.append(fault)
                if len(found) >= PROBLEMS_MAX:
                    break
    return found[:PROBLEMS_MAX]


async def _misdirected(connection: asyncpg.Connection) -> AsyncIterator[str]:
    async for row in connection.cursor(f"SELECT {WIRE_COLUMNS} FROM outbox WHERE NOT state ORDER BY seq"):  # noqa: S608
        for wire in wires(row):
            of_provider = wire.topic.removeprefix("dispatch.provider.")
            if of_provider != wire.topic and _decode(wire.value).provider != of_provider:
                yield f"outbox: a message for provider topic {wire.topic} is not that provider's"


async def _plan_faults(connection: asyncpg.Connection, today: date) -> AsyncIterator[str]:
    after = store.NO_ID
    while plans := await store.page_plans(connection, after, PAGE):
        after = plans[-1].person_id
        covered = await store.persons_with_window(connection, [p.person_id for p in plans], today)
        for plan in plans:
            has_window = (plan.person_id, plan.item) in covered
            if (fault := plan_fault(plan, today, visit_rules(), has_window=has_window)) is not None:
                yield f"person {plan.person_id}: {fault}"


def plan_fault(plan: Plan, today: date, rules: VisitRules, *, has_window: bool) -> str | None:
    """What is wrong with one plan; None for nothing. A plan due today is the clock's next step."""
    part = plan.part
    if plan.act_on is not None and plan.act_on == today:
        return None
    if plan.act_on is not None and plan.act_on < today:
        return f"its plan should have been looked at on {plan.act_on}"
    run = next((r for r in runs(part.stretches) if r.covers(today)), None)
    wanted = run is not None and part.died_on is None and not part.merged
    if wanted != (plan.state in ("active", "paused")):
        return "entitled to visits, but the plan is not active" if wanted else "the plan outlives the entitlement"
    if run is None or not wanted:
        return None
    if part.suspected_on is not None:
        return None if plan.state == "paused" else "routine visits go on under a suspected death"
    if part.in_hospital(today):
        return None if plan.state == "paused" else "routine visits go on while the person is in hospital"
    if (plan.division, plan.tier, plan.interval_days) != run.first.care:
        return "the plan follows another place or tier than the entitlement"
    asked = reverification(plan, run, today, rules).mark
    if asked is not None and asked not in part.met:
        return "its living tags are old and nobody was sent to see"
    if _opened_to_the_end(plan, run, rules):
        return None  # opened up to the end of the entitlement; a short remainder has no window of its own
    if plan.state == "active" and plan.opened_until is not None and plan.opened_until <= today:
        return "no window stands open"
    return None if has_window else "no visit has been planned, made or recorded as missed for today's window"


def _opened_to_the_end(plan: Plan, run: Run, rules: VisitRules) -> bool:
    if plan.state != "active" or plan.opened_until is None or run.to is None:
        return False
    interval = plan.interval_days or rules.interval_days_default
    return next_window(plan.opened_until, interval, plan.last_from).from_ >= run.to
