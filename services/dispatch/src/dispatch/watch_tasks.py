"""Change tasks whose next step is due without any answer: an offer expires, a window passes, a visit does not end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import lock_with_plans, save_changes, without_successor_after_end
from dispatch.domain.task import decide_tick
from dispatch.parameters import visit_rules

STEP_MAX: Final = 500


async def watch_tasks(database: Database) -> int:
    """Job: change the tasks whose step is due, at most STEP_MAX. Returns the number of changed tasks."""
    now = clock.now()
    async with database.transaction() as tx:
        due = await store.list_due_tasks(tx, now, STEP_MAX)
        if not due:
            return 0
        return await _step(tx, due, now)


async def _step(tx: Tx, task_ids: Sequence[str], now: datetime) -> int:
    """Lock the tasks, decide their due steps, and save the changes. Returns the number of changed tasks."""
    tasks, plans = await lock_with_plans(tx, task_ids)
    steps = [decide_tick(task, now, visit_rules()) for task in tasks.values()]
    changes = [without_successor_after_end(change, plans) for change in steps if change is not None]
    await save_changes(tx, changes, now)
    return len(changes)
