"""Update visit plans and tasks after decisions about persons. A job opens the next windows as time passes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
from common.events import EntitlementsDecided
from common.message import Message
from rules.scales.visits import VISIT_ITEMS
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import Causes, PlanKey, save_changes
from dispatch.domain.decision import decide_plan
from dispatch.domain.facts import VisitFacts, facts_of, visit_digest
from dispatch.domain.plan import Plan, PlanDecision, merged_away
from dispatch.domain.task import Task
from dispatch.parameters import visit_rules

STEP_MAX: Final = 500
_NO_TASKS: Final[Sequence[Task]] = ()


async def on_entitlements_decided(messages: Sequence[Message[EntitlementsDecided]], tx: Tx) -> None:
    """Decide the visit plans again for persons whose decision changed for visits. One statement finds these persons."""
    changed = await store.claim_heads(tx, [_head(message.data) for message in messages])
    if not changed:
        return
    causes = {m.data.person_id: m for m in messages if m.data.person_id in changed}
    aliases = {alias: m for m in causes.values() for alias in m.data.aliases if alias not in causes}
    known = await store.lock_plans(tx, {*causes, *aliases})
    merged = [merged_away(plan) for (person_id, _), plan in known.items() if person_id in aliases]
    await _decide(tx, [*merged, *_newest_plans(causes, known)], clock.today(), aliases | causes)


def _head(decided: EntitlementsDecided) -> store.Head:
    return store.Head(decided.person_id, decided.version, visit_digest(decided))


def _newest_plans(causes: Mapping[str, Message[EntitlementsDecided]], known: Mapping[PlanKey, Plan]) -> Iterator[Plan]:
    for person_id, message in causes.items():
        for item in VISIT_ITEMS:
            plan = _with_newest_facts(known.get((person_id, item)), message, item)
            if plan is not None:
                yield plan


def _with_newest_facts(plan: Plan | None, message: Message[EntitlementsDecided], item: str) -> Plan | None:
    """Return the plan with the facts of the decision; None if there is neither a plan nor a need for one."""
    facts = facts_of(message.data, item)
    if plan is None:
        if not _need_plan(facts):
            return None
        plan = Plan(person_id=message.data.person_id, item=item)
    facts = msgspec.structs.replace(facts, handled=plan.facts.handled)
    return msgspec.structs.replace(plan, facts=facts, correlation_id=message.correlation_id)


def _need_plan(facts: VisitFacts) -> bool:
    """Whether the facts need a plan. A person with aliases needs one, because it finds the visits under aliases."""
    return bool(facts.stretches or facts.aliases) or facts.check_division is not None


async def open_due_windows(database: Database) -> int:
    """Job: decide the plans whose day of action has come, for the next window or a change of the entitlement."""
    today = clock.today()
    async with database.transaction() as tx:
        plans = await store.lock_due_plans(tx, today, STEP_MAX)
        await _decide(tx, plans, today, {})
    return len(plans)


async def _decide(tx: Tx, plans: Sequence[Plan], today: date, causes: Causes) -> None:
    if not plans:
        return
    decisions = await _decisions(tx, plans, today)
    await store.upsert_plans(tx, [decision.plan for decision in decisions])
    changes = [change for decision in decisions for change in decision.changes]
    await save_changes(tx, changes, clock.now(), causes)


async def _decisions(tx: Tx, plans: Sequence[Plan], today: date) -> list[PlanDecision]:
    person_ids = {person_id for plan in plans for person_id in (plan.person_id, *plan.facts.aliases)}
    live = await store.lock_live_tasks(tx, sorted(person_ids), today)
    return [_decision(plan, live, today) for plan in plans]


def _decision(plan: Plan, live: Mapping[PlanKey, list[Task]], today: date) -> PlanDecision:
    tasks = live.get((plan.person_id, plan.item), _NO_TASKS)
    alias_tasks = [task for alias in plan.facts.aliases for task in live.get((alias, plan.item), _NO_TASKS)]
    return decide_plan(plan, tasks, today, visit_rules(), alias_tasks)
