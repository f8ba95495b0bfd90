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
from dispatch.domain.plan import Plan, PlanDecision, with_survivor
from dispatch.domain.task import Task
from dispatch.parameters import visit_rules

STEP_MAX: Final = 500
Decided = Message[EntitlementsDecided]
Decisions = Mapping[str, Decided]  # by person id
_NO_TASKS: Final[Sequence[Task]] = ()


async def on_entitlements_decided(messages: Sequence[Decided], tx: Tx) -> None:
    """Decide the visit plans again for persons whose decision changed for visits. One statement finds these persons."""
    changed = await store.claim_heads(tx, [_head(message.data) for message in messages])
    if not changed:
        return
    causes = {m.data.person_id: m for m in messages if m.data.person_id in changed}
    aliases = {alias: m for m in causes.values() for alias in m.data.aliases if alias not in causes}
    known = await store.lock_plans(tx, {*causes, *aliases})
    merged = [with_survivor(plan, aliases[id_].data.person_id) for (id_, _), plan in known.items() if id_ in aliases]
    former = _former_aliases(known, causes, aliases)
    plans = [*merged, *await _split_off(tx, former), *_newest_plans(causes, known)]
    await _decide(tx, plans, clock.today(), former | aliases | causes)


def _head(decided: EntitlementsDecided) -> store.Head:
    return store.Head(decided.person_id, decided.version, visit_digest(decided))


def _former_aliases(known: Mapping[PlanKey, Plan], causes: Decisions, aliases: Decisions) -> dict[str, Decided]:
    """Return by person id the decision that no longer names the person as an alias. An identity with a decision in this
    batch, or with another survivor in it, is left out."""
    former: dict[str, Decided] = {}
    for (person_id, _), plan in known.items():
        decided = causes.get(person_id)
        if decided is not None:
            former |= {alias: decided for alias in plan.facts.aliases if alias not in decided.data.aliases}
    return {alias: decided for alias, decided in former.items() if alias not in causes and alias not in aliases}


async def _split_off(tx: Tx, former: Decisions) -> list[Plan]:
    """Return the plans of former aliases without their survivor. An alias's own decision may be unchanged. Then it is
    not handled again, and only this step continues the visits."""
    if not former:
        return []
    plans = (await store.lock_plans(tx, former)).values()
    return [with_survivor(p, None) for p in plans if p.facts.survivor == former[p.person_id].data.person_id]


def _newest_plans(causes: Decisions, known: Mapping[PlanKey, Plan]) -> Iterator[Plan]:
    for person_id, message in causes.items():
        for item in VISIT_ITEMS:
            plan = _with_newest_facts(known.get((person_id, item)), message, item)
            if plan is not None:
                yield plan


def _with_newest_facts(plan: Plan | None, message: Decided, item: str) -> Plan | None:
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
    """Job: decide the plans whose day of action has come, such as the begin of a window or a change of the entitlement.

    Returns the number of plans, at most STEP_MAX.
    """
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
