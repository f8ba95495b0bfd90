"""Answers to tasks, through whichever door they come: one lock order, one state machine, one record of each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store.transaction import Tx

from dispatch import store
from dispatch.domain.answer import Answer, decide_answer
from dispatch.domain.plan import Plan
from dispatch.domain.task import Moved, Refused, Repeated, Task, then
from dispatch.settling import settle, visit_rules

UNKNOWN: Final = Refused("unknown_task")


class Given(NamedTuple):
    """`task_id` may be anybody's, or nobody's."""

    task_id: str
    answer: Answer


async def lock_with_plans(tx: Tx, task_ids: Sequence[str]) -> tuple[dict[str, Task], dict[tuple[str, str], Plan]]:
    """The tasks, locked after the plans of their persons."""
    plans = await store.lock_plans(tx, await store.persons_of_tasks(tx, task_ids))
    return await store.lock_tasks(tx, task_ids), plans


def only_while_planned(moved: Moved, plans: dict[tuple[str, str], Plan]) -> Moved:
    """No further visit follows where the plan has ended in the meantime."""
    plan = plans.get((moved.task.person_id, moved.task.item))
    if moved.successor is not None and (plan is None or plan.state not in ("active", "paused")):
        return moved._replace(successor=None)
    return moved


async def take_answers(
    tx: Tx, given: Sequence[Given], via: str, now: datetime
) -> list[tuple[Moved | Repeated | Refused, Task | None]]:
    """What became of each answer, in order, with the task after it (None when it is unknown)."""
    tasks, plans = await lock_with_plans(tx, [g.task_id for g in given])
    moves: dict[str, Moved] = {}
    results: list[tuple[Moved | Repeated | Refused, Task | None]] = []
    for task_id, answer in given:
        task = tasks.get(task_id)
        result = decide_answer(task, answer, now, visit_rules()) if task else UNKNOWN
        if isinstance(result, Moved):
            moved = only_while_planned(result, plans)
            moves[task_id] = then(moves[task_id], moved) if task_id in moves else moved
            tasks[task_id] = moved.task
        if task is not None:
            refused = result.reason if isinstance(result, Refused) else None
            await store.append_answer(tx, task_id, answer, now, via, refused)
        results.append((result, tasks.get(task_id)))
    settled = {m.task.task_id: m.task for m in await settle(tx, list(moves.values()), now)}
    return [(result, settled.get(task.task_id, task) if task else None) for result, task in results]
