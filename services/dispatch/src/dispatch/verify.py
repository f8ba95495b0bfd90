"""Whether what dispatch stores agrees with itself: `check` names every disagreement, by ids and never by name."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Final

import asyncpg
import msgspec
from rules.scales.visits import Run, VisitRules, next_window, runs
from shell.store.database import Database
from shell.store.outbox import WIRE_COLUMNS, wires

from dispatch import store
from dispatch.domain.beside import reverification
from dispatch.domain.hospital import stay_question
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
        "person {}: is to be visited, or checked after a suspicion, but has no plan",
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
    """Faults found, at most 200: entitled people without a plan, suspected deaths without a check, open hospital stays
    that nobody was asked about, elapsed windows without an end, anything open for the dead, providers told of others'
    tasks. A step that the clock takes today is no fault."""
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
        checks = await store.newest_checks(connection, [i for p in plans for i in _checked_under(p)])
        for plan in plans:
            has_window = (plan.person_id, plan.item) in covered
            if (fault := check_fault(plan, [checks[i] for i in _checked_under(plan) if i in checks])) is not None:
                yield f"person {plan.person_id}: {fault}"
            if (fault := plan_fault(plan, today, visit_rules(), has_window=has_window)) is not None:
                yield f"person {plan.person_id}: {fault}"


def _checked_under(plan: Plan) -> tuple[str, ...]:
    """The identities under which the check of a suspected death may have been ordered."""
    return (plan.person_id, *plan.part.aliases) if plan.cause == "suspicion" else ()


def check_fault(plan: Plan, ends: Sequence[date]) -> str | None:
    """Whether a suspected death lacks its check. `ends`: where the windows of such checks end, cancelled ones left out;
    a check that is completed, missed or excused counts (supervision holds an alert of a missed one)."""
    if plan.part.suspected_on is None or plan.cause != "suspicion":
        return None  # `plan_fault` names a suspicion that did not pause the plan
    ordered_on = plan.last_from or date.min
    return None if any(end > ordered_on for end in ends) else "a death is suspected and there is no check"


def plan_fault(plan: Plan, today: date, rules: VisitRules, *, has_window: bool) -> str | None:
    """What is wrong with one plan; None for nothing. A plan due today is the clock's next step."""
    part = plan.part
    if plan.act_on is not None and plan.act_on == today:
        return None
    if plan.act_on is not None and plan.act_on < today:
        return f"its plan should have been looked at on {plan.act_on}"
    run = next((r for r in runs(part.stretches) if r.covers(today)), None)
    alive = part.died_on is None and not part.merged
    if alive and part.suspected_on is not None:
        is_checked = (plan.state, plan.cause) == ("paused", "suspicion")
        return None if is_checked else "a death is suspected, but the plan is not paused for a check"
    wanted = run is not None and alive
    if wanted != (plan.state in ("active", "paused")):
        return "entitled to visits, but the plan is not active" if wanted else "the plan outlives the entitlement"
    if run is None or not wanted:
        return None
    if part.in_hospital(today):
        return _stay_fault(plan, run, today, rules)
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


def _stay_fault(plan: Plan, run: Run, today: date, rules: VisitRules) -> str | None:
    if plan.state != "paused":
        return "routine visits go on while the person is in hospital"
    question = stay_question(plan.part, run.first.division, today, rules)
    if question.mark is not None and question.mark not in plan.part.met:
        return "nobody was asked about the open hospital stay"
    return None


def _opened_to_the_end(plan: Plan, run: Run, rules: VisitRules) -> bool:
    if plan.state != "active" or plan.opened_until is None or run.to is None:
        return False
    interval = plan.interval_days or rules.interval_days_default
    return next_window(plan.opened_until, interval, plan.last_from).from_ >= run.to
