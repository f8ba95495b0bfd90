"""Saving what was decided about tasks, with all that follows: a provider for those without one, the rows, the
events, and the messages to providers. Shared by every verb that moves tasks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from common.message import Message
from rules.scales.visits import VisitRules, load_visit_rules
from shell.settings import repository_root
from shell.store.transaction import Tx

from dispatch import store
from dispatch.domain.market import Market, areas_of, in_hand, place
from dispatch.domain.task import Moved, created
from dispatch.feed import Told, tell_providers

Causes = Mapping[str, Message[Any]]


@cache
def visit_rules() -> VisitRules:
    return load_visit_rules(repository_root() / "contracts" / "visits" / "parameters.yaml")


class _Said(NamedTuple):
    moved: Moved
    cause: Message[Any] | None


async def settle(tx: Tx, moves: Sequence[Moved], now: datetime, causes: Causes | None = None) -> list[Moved]:
    """Save `moves`, whose tasks (if not new) the caller has locked, as has their persons' plans. `causes`: the
    message behind each person's moves. Returns them as they ended up, successors included."""
    rules = visit_rules()
    every = [m for moved in moves for m in (moved, *([created(moved.successor)] if moved.successor else ()))]
    if any(m.place for m in every):
        market = Market(await store.load_market(tx, areas_of(m.task.division for m in every if m.place)))
        every = place(every, market, now, rules)
    fresh = await store.insert_tasks(tx, [m.task for m in every if m.created])
    every = [m for m in every if not m.created or m.task.task_id in fresh]
    before = await store.update_tasks(tx, [m.task for m in every if not m.created])
    said = [_Said(m, (causes or {}).get(m.task.person_id)) for m in every]
    for moved, cause in said:
        for event in moved.events:
            tx.emit(event, cause or moved.task.correlation_id, division=moved.task.division)
    told = [t for moved, cause in said for t in _told(moved, cause)]
    await tell_providers(tx, told, in_hand(before, {m.task.task_id: m.task for m in every}.values()))
    return every


def _told(moved: Moved, cause: Message[Any] | None) -> list[Told]:
    return [Told(event, cause or moved.task.correlation_id) for event in moved.told]
