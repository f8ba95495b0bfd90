"""The self-check of the stored plans, tasks and messages. `check` reports each fault with ids only."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Final

import asyncpg
import msgspec
from rules.scales.visits import Run, VisitRules, next_window, runs
from shell.store.database import Database
from shell.store.outbox import WIRE_COLUMNS, wires

from dispatch import store
from dispatch.domain.extras import reverification
from dispatch.domain.pauses import stay_question
from dispatch.domain.plan import Plan, run_on
from dispatch.feed import RETENTION_DAYS
from dispatch.parameters import visit_rules

SIZE: Final[str] = "SELECT count(*) FROM tasks"
PAGE: Final = 1_000
PROBLEMS_MAX: Final = 200


class _ProviderEvent(msgspec.Struct):
    provider: str


_decode = msgspec.json.Decoder(_ProviderEvent).decode

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
        "person {}: needs visits, or a check after a suspicion, but has no plan",
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
        "provider {}: its stored number of open tasks is wrong",
        """SELECT p.uscc FROM providers p WHERE p.open_tasks <>
             (SELECT count(*) FROM tasks t
              WHERE t.provider = p.uscc AND t.state IN ('offered', 'accepted', 'in_progress'))""",
    ),
    (
        "feed of {}: contains a message for another provider, about no task, or with a wrong number",
        """SELECT DISTINCT f.provider FROM feed f JOIN providers p ON p.uscc = f.provider
             LEFT JOIN tasks t USING (task_id)
           WHERE t.task_id IS NULL OR f.seq > p.feed_seq
              OR convert_from(f.payload, 'UTF8')::jsonb->>'provider' <> f.provider
              OR convert_from(f.payload, 'UTF8')::jsonb->>'task_id' <> f.task_id::text""",
    ),
)
_QUERIES_OF_TODAY: Final = (
    (
        "task {}: its window has passed without a recorded end",
        """SELECT task_id FROM tasks WHERE state IN ('planned', 'offered', 'accepted') AND window_to < $1""",
    ),
    (
        "task {}: offered or accepted, but there is no message to the provider",
        f"""SELECT t.task_id FROM tasks t WHERE t.state IN ('offered', 'accepted') AND t.window_to > $1
             AND t.window_from > $1 - {RETENTION_DAYS - 10}
             AND NOT EXISTS (SELECT 1 FROM feed f WHERE f.provider = t.provider AND f.task_id = t.task_id)""",  # noqa: S608
    ),
)


async def check(database: Database, today: date) -> list[str]:
    """Return one sentence per fault found, at most 200. A step that is due today is no fault.

    Examples: entitled persons without a plan, suspected deaths without a check, open hospital stays without a
    question. Further: elapsed windows without an end, open tasks of the dead, messages sent to another provider.
    """
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        found = await _query_faults(connection, today)
        for faults in (_plan_faults(connection, today), _misdirected(connection)):
            async for fault in faults:
                found.append(fault)
                if len(found) >= PROBLEMS_MAX:
                    break
    return found[:PROBLEMS_MAX]


async def _query_faults(connection: asyncpg.Connection, today: date) -> list[str]:
    found: list[str] = []
    for text, query in _QUERIES:
        found += [text.format(row[0]) for row in await connection.fetch(f"{query} LIMIT {PROBLEMS_MAX}")]
    for text, query in _QUERIES_OF_TODAY:
        found += [text.format(row[0]) for row in await connection.fetch(f"{query} LIMIT {PROBLEMS_MAX}", today)]
    return found


async def _misdirected(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """Yield a sentence per message in the outbox that is on the topic of another provider."""
    async for row in connection.cursor(f"SELECT {WIRE_COLUMNS} FROM outbox WHERE NOT state ORDER BY seq"):  # noqa: S608
        for wire in wires(row):
            of_provider = wire.topic.removeprefix("dispatch.provider.")
            if of_provider != wire.topic and _decode(wire.value).provider != of_provider:
                yield f"outbox: a message on provider topic {wire.topic} is for another provider"


async def _plan_faults(connection: asyncpg.Connection, today: date) -> AsyncIterator[str]:
    after = (store.NO_ID, "")
    while plans := await store.page_plans(connection, after, PAGE):
        after = (plans[-1].person_id, plans[-1].item)
        covered = await store.load_persons_with_window(connection, [plan.person_id for plan in plans], today)
        checks = await store.load_newest_checks(connection, [i for plan in plans for i in _checked_identities(plan)])
        for plan in plans:
            ends = [checks[identity] for identity in _checked_identities(plan) if identity in checks]
            has_window = (plan.person_id, plan.item) in covered
            for fault in (check_fault(plan, ends), plan_fault(plan, today, visit_rules(), has_window=has_window)):
                if fault is not None:
                    yield f"person {plan.person_id}: {fault}"


def _checked_identities(plan: Plan) -> tuple[str, ...]:
    """The identities under which the check of a suspected death may exist."""
    return (plan.person_id, *plan.facts.aliases) if plan.cause == "suspicion" else ()


def check_fault(plan: Plan, ends: Sequence[date]) -> str | None:
    """Return the fault if a suspected death lacks its check. `ends`: window ends of checks that are not cancelled.

    A completed, missed or excused check counts. Supervision raises an alert for a missed one.
    """
    if plan.facts.suspected_on is None or plan.cause != "suspicion":
        return None  # `plan_fault` reports a suspicion that did not pause the plan
    ordered_on = plan.last_from or date.min
    return None if any(end > ordered_on for end in ends) else "a death is suspected and there is no check"


def plan_fault(plan: Plan, today: date, rules: VisitRules, *, has_window: bool) -> str | None:
    """Return the fault of one plan, None for none. A step that is due today is no fault.

    `has_window`: a task that is not cancelled has a window that ends after today.
    """
    if plan.act_on is not None and plan.act_on <= today:
        return None if plan.act_on == today else f"the step of its plan was due on {plan.act_on}"
    alive = plan.facts.died_on is None and not plan.facts.is_merged
    if alive and plan.facts.suspected_on is not None:
        paused = (plan.state, plan.cause) == ("paused", "suspicion")
        return None if paused else "a death is suspected, but the plan is not paused for a check"
    run = run_on(runs(plan.facts.stretches), today) if alive else None
    if run is None:
        return "the plan continues after the entitlement" if plan.state in ("active", "paused") else None
    if plan.state not in ("active", "paused"):
        return "entitled to visits, but the plan is not active"
    if plan.facts.in_hospital(today):
        return _stay_fault(plan, run, today, rules)
    return _care_fault(plan, run, today, rules) or _window_fault(plan, run, today, rules, has_window=has_window)


def _stay_fault(plan: Plan, run: Run, today: date, rules: VisitRules) -> str | None:
    if plan.state != "paused":
        return "routine visits continue while the person is in hospital"
    question = stay_question(plan.facts, run.first.division, today, rules)
    if question.mark is not None and question.mark not in plan.facts.handled:
        return "the question about the open hospital stay was not asked"
    return None


def _care_fault(plan: Plan, run: Run, today: date, rules: VisitRules) -> str | None:
    if (plan.division, plan.tier, plan.interval_days) != run.first.care:
        return "the plan and the entitlement differ in place or tier"
    due = reverification(plan, run, today, rules).mark
    if due is not None and due not in plan.facts.handled:
        return "its living tags are old and no visit was planned to verify them"
    return None


def _window_fault(plan: Plan, run: Run, today: date, rules: VisitRules, *, has_window: bool) -> str | None:
    if _opened_to_the_end(plan, run, rules):
        return None  # a short remainder at the end of the entitlement has no window of its own
    if plan.state == "active" and plan.opened_until is not None and plan.opened_until <= today:
        return "no window is open"
    return None if has_window else "no visit has been planned, made or recorded as missed for today's window"


def _opened_to_the_end(plan: Plan, run: Run, rules: VisitRules) -> bool:
    """Whether the entitlement ends before another window can begin."""
    if plan.state != "active" or plan.opened_until is None or run.to is None:
        return False
    interval = plan.interval_days or rules.interval_days_default
    return next_window(plan.opened_until, interval, plan.last_from).from_ >= run.to
