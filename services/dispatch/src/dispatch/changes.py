"""Lock tasks, and save their changes together with the events, the offers and the messages to providers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common.message import Message
from shell.store.transaction import Tx

from dispatch import store
from dispatch.domain.plan import Plan
from dispatch.domain.providers import ProviderPool, areas_of, load_changes, offer_tasks
from dispatch.domain.task import Change, Task, created
from dispatch.feed import ProviderMessage, append_messages
from dispatch.parameters import visit_rules

Causes = Mapping[str, Message[Any]]
PlanKey = tuple[str, str]  # person id, item


async def lock_with_plans(tx: Tx, task_ids: Sequence[str]) -> tuple[dict[str, Task], dict[PlanKey, Plan]]:
    """Lock the plans of the tasks' persons, then the tasks. Returns the tasks by id, and the plans by `PlanKey`."""
    plans = await store.lock_plans(tx, await store.load_persons_of_tasks(tx, task_ids))
    return await store.lock_tasks(tx, task_ids), plans


def without_successor_after_end(change: Change, plans: Mapping[PlanKey, Plan]) -> Change:
    """Return the change. Its successor (the task that repeats a visit) stays only if the plan is active or paused."""
    if change.successor is None:
        return change
    plan = plans.get((change.task.person_id, change.task.item))
    return change if plan is not None and plan.state in ("active", "paused") else change._replace(successor=None)


async def save_changes(tx: Tx, changes: Sequence[Change], now: datetime, causes: Causes | None = None) -> list[Change]:
    """Save the changes and their successors, make the offers that they need, and emit their events.

    Returns the saved changes and successors, without new tasks that exist already. The caller has locked the plans of
    the persons, and the tasks that are not new. `causes`: by person id, the message that led to the changes.
    """
    offers = await _with_offers(tx, _with_successors(changes), now)
    inserted = await store.insert_tasks(tx, [change.task for change in offers if change.created])
    saved = [change for change in offers if not change.created or change.task.task_id in inserted]
    before = await store.update_tasks(tx, [change.task for change in saved if not change.created])
    messages = _emit_events(tx, saved, causes or {})
    after = {change.task.task_id: change.task for change in saved}
    await append_messages(tx, messages, load_changes(before, after.values()))
    return saved


def _with_successors(changes: Sequence[Change]) -> list[Change]:
    """Return the changes, each followed by a change that creates its successor if there is one."""
    found = []
    for change in changes:
        found.append(change)
        if change.successor is not None:
            found.append(created(change.successor))
    return found


async def _with_offers(tx: Tx, changes: list[Change], now: datetime) -> list[Change]:
    divisions = [change.task.division for change in changes if change.needs_provider]
    if not divisions:
        return changes
    pool = ProviderPool(await store.load_providers_of(tx, areas_of(divisions)))
    return offer_tasks(changes, pool, now, visit_rules())


def _emit_events(tx: Tx, changes: Sequence[Change], causes: Causes) -> list[ProviderMessage]:
    """Emit the events of the changes. Returns the messages to providers, for their feeds."""
    messages: list[ProviderMessage] = []
    for change in changes:
        origin = causes.get(change.task.person_id) or change.task.correlation_id
        for event in change.events:
            tx.emit(event, origin, division=change.task.division)
        messages += [ProviderMessage(message, origin) for message in change.provider_messages]
    return messages
