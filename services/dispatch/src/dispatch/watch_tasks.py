"""What happens to tasks when nobody does anything: offers expire, windows pass, visits do not end."""

from typing import Final

from shell import clock
from shell.store.database import Database

from dispatch import store
from dispatch.answering import lock_with_plans, only_while_planned
from dispatch.domain.task import decide_tick
from dispatch.settling import settle, visit_rules

STEP_MAX: Final = 500


async def watch_tasks(database: Database) -> int:
    """Job: one bounded step over the tasks whose time has come."""
    now, rules = clock.now(), visit_rules()
    async with database.transaction() as tx:
        due = await store.list_due_tasks(tx, now, STEP_MAX)
        if not due:
            return 0
        tasks, plans = await lock_with_plans(tx, due)
        ticked = [decide_tick(task, now, rules) for task in tasks.values()]
        moves = [only_while_planned(moved, plans) for moved in ticked if moved is not None]
        await settle(tx, moves, now)
    return len(moves)
