"""Apply providers' answers to tasks, from HTTP and from Kafka: lock the tasks, decide, record and save each answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store.transaction import Tx

from dispatch import store
from dispatch.changes import PlanKey, lock_with_plans, save_changes, without_successor_after_end
from dispatch.domain.answers import Answer, decide_answer
from dispatch.domain.plan import Plan
from dispatch.domain.task import Change, Refused, Repeated, Task, combined
from dispatch.parameters import visit_rules

UNKNOWN: Final = Refused("unknown_task")
Result = Change | Repeated | Refused


class TaskAnswer(NamedTuple):
    """An answer to one task. The sender gives `task_id`: the task may be unknown, or belong to another provider."""

    task_id: str
    answer: Answer


class AnswerResult(NamedTuple):
    """The decision about one answer. `task`: the task after all answers of the batch, None for an unknown
    task."""

    result: Result
    task: Task | None


async def apply_answers(tx: Tx, answers: Sequence[TaskAnswer], via: str, now: datetime) -> list[AnswerResult]:
    """Decide the answers, record those to known tasks, and save the changes. `via`: http or kafka.

    Returns one result per answer, in the order of `answers`.
    """
    tasks, plans = await lock_with_plans(tx, [given.task_id for given in answers])
    decisions = _Decisions(tasks, plans, now)
    results = [decisions.decide(*given) for given in answers]
    known = [(given, result) for given, result in zip(answers, results, strict=True) if result is not UNKNOWN]
    await store.append_records(tx, [_record(*given, result, via, now) for given, result in known])
    saved = await save_changes(tx, list(decisions.changes.values()), now)
    tasks.update((change.task.task_id, change.task) for change in saved)
    return [AnswerResult(result, tasks.get(given.task_id)) for given, result in zip(answers, results, strict=True)]


class _Decisions:
    """Decides answers one after another. `tasks` has each task as the answers so far have left it.

    `changes`: by task id, all changes of the task in one."""

    def __init__(self, tasks: dict[str, Task], plans: Mapping[PlanKey, Plan], now: datetime) -> None:
        self.changes: dict[str, Change] = {}
        self._tasks, self._plans, self._now = tasks, plans, now

    def decide(self, task_id: str, answer: Answer) -> Result:
        """Decide one answer, and keep the change that it makes."""
        task = self._tasks.get(task_id)
        if task is None:
            return UNKNOWN
        result = decide_answer(task, answer, self._now, visit_rules())
        if isinstance(result, Change):
            change = without_successor_after_end(result, self._plans)
            before = self.changes.get(task_id)
            self.changes[task_id] = combined(before, change) if before else change
            self._tasks[task_id] = change.task
        return result


def _record(task_id: str, answer: Answer, result: Result, via: str, now: datetime) -> store.TaskRecord:
    refused = result.reason if isinstance(result, Refused) else None
    return store.TaskRecord(task_id, answer.provider, answer.kind, answer.at, now, via, refused=refused)
