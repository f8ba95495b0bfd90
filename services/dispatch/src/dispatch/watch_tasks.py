"""Steps of tasks that are due without any answer: offers expire, windows pass, visits do not end."""

from typing import Final

from shell import clock
from shell.store.database import Database

from dispatch import store
from dispatch.changes import lock_with_plans, save_changes, without_successor_after_end
from dispatch.domain.task import decide_tick
from dispatch.visit_rules import visit_rules

STEP_MAX: Final = 500


async def watch_tasks(database: Database) -> int:
    """Job: one bounded step over the due tasks."""
    now, rules = clock.now(), visit_rules()
    async with database.transaction() as tx:
        due = await store.list_due_tasks(tx, now, STEP_MAX)
        if not due:
            return 0
        tasks, plans = await lock_with_plans(tx, due)
        ticked = [decide_tick(task, now, rules) for task in tasks.values()]
        changes = [without_successor_after_end(change, plans) for change in ticked if change is not None]
        await save_changes(tx, changes, now)
    return len(changes)
