"""Apply providers' answers to tasks, from HTTP and from Kafka: lock the tasks, decide, record and save each answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import lock_with_plans, save_changes, without_successor_after_end
from dispatch.domain.answers import Answer, decide_answer
from dispatch.domain.task import Change, Refused, Repeated, Task, combined
from dispatch.parameters import visit_rules

UNKNOWN: Final = Refused("unknown_task")


class TaskAnswer(NamedTuple):
    """An answer to one task. The sender gives `task_id`: the task may be unknown, or belong to another provider."""

    task_id: str
    answer: Answer


class AnswerResult(NamedTuple):
    """The decision about one answer. `task`: the task after all answers of the batch, None for an unknown
    task."""

    result: Change | Repeated | Refused
    task: Task | None


async def apply_answers(tx: Tx, answers: Sequence[TaskAnswer], via: str, now: datetime) -> list[AnswerResult]:
    """Decide the answers, record those to known tasks, and save the changes. `via`: http or kafka.

    Returns one result per answer, in the order of `answers`.
    """
    tasks, plans = await lock_with_plans(tx, [given.task_id for given in answers])
    changes: dict[str, Change] = {}
    records: list[store.TaskRecord] = []
    results: list[tuple[str, Change | Repeated | Refused]] = []
    for task_id, answer in answers:
        task = tasks.get(task_id)
        if task is None:
            results.append((task_id, UNKNOWN))
            continue
        result = decide_answer(task, answer, now, visit_rules())
        if isinstance(result, Change):
            change = without_successor_after_end(result, plans)
            changes[task_id] = combined(changes[task_id], change) if task_id in changes else change
            tasks[task_id] = change.task
        records.append(_record(task_id, answer, result, via, now))
        results.append((task_id, result))
    await store.append_records(tx, records)
    saved = await save_changes(tx, list(changes.values()), now)
    tasks.update((change.task.task_id, change.task) for change in saved)
    return [AnswerResult(result, tasks.get(task_id)) for task_id, result in results]


def _record(
    task_id: str, answer: Answer, result: Change | Repeated | Refused, via: str, now: datetime
) -> store.TaskRecord:
    refused = result.reason if isinstance(result, Refused) else None
    return store.TaskRecord(task_id, answer.provider, answer.kind, answer.at, now, via, refused=refused)
