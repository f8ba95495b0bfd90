"""Decisions about people become visit plans and tasks, and as time passes the next windows open."""

from collections.abc import Sequence
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
from dispatch.domain.part import visiting_digest, visiting_part
from dispatch.domain.plan import Plan, Planned, merged_away
from dispatch.domain.planning import decide_plan
from dispatch.domain.task import Task
from dispatch.settling import Causes, settle, visit_rules

STEP_MAX: Final = 500


async def on_entitlements_decided(messages: Sequence[Message[EntitlementsDecided]], tx: Tx) -> None:
    """Most decisions change nothing for visits: one statement finds those that do."""
    heads = [(m.data.person_id, m.data.version, visiting_digest(m.data)) for m in messages]
    changed = await store.claim_heads(tx, heads)
    if not changed:
        return
    causes = {m.data.person_id: m for m in messages if m.data.person_id in changed}
    aliases = {a: m for m in causes.values() for a in m.data.aliases if a not in causes}
    known = await store.lock_plans(tx, {*causes, *aliases})
    plans = [
        _informed(known.get((person_id, item)), message, item)
        for person_id, message in causes.items()
        for item in VISIT_ITEMS
    ]
    gone = [merged_away(plan) for (person_id, _), plan in known.items() if person_id in aliases]
    await _plan(tx, [*gone, *(plan for plan in plans if plan is not None)], clock.today(), aliases | causes)


def _informed(plan: Plan | None, message: Message[EntitlementsDecided], item: str) -> Plan | None:
    """The plan with the newest timeline; None where there neither was nor is anything to plan. A person with other
    identities has a plan, since the visits under those are found by it. So has one whose death is suspected."""
    part = visiting_part(message.data, item)
    if plan is None and not part.stretches and not part.aliases and part.place is None:
        return None
    plan = plan or Plan(person_id=message.data.person_id, item=item)
    part = msgspec.structs.replace(part, met=plan.part.met)
    return msgspec.structs.replace(plan, part=part, correlation_id=message.correlation_id)


async def open_due_windows(database: Database) -> int:
    """Job: plans whose day has come – the next window, an entitlement that begins, ends or changes."""
    today = clock.today()
    async with database.transaction() as tx:
        plans = await store.lock_due_plans(tx, today, STEP_MAX)
        if plans:
            await _plan(tx, plans, today, {})
    return len(plans)


async def _plan(tx: Tx, plans: Sequence[Plan], today: date, causes: Causes) -> None:
    if not plans:
        return
    rules = visit_rules()
    humans = {person_id for plan in plans for person_id in (plan.person_id, *plan.part.aliases)}
    live = await store.lock_live_tasks(tx, sorted(humans), today)
    nothing: list[Task] = []
    decided: list[Planned] = []
    for plan in plans:
        beside = [t for alias in plan.part.aliases for t in live.get((alias, plan.item), nothing)]
        decided.append(decide_plan(plan, live.get((plan.person_id, plan.item), nothing), today, rules, beside))
    await store.upsert_plans(tx, [planned.plan for planned in decided])
    await settle(tx, [move for planned in decided for move in planned.moves], clock.now(), causes)
