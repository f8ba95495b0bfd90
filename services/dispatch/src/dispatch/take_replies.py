"""Take providers' answers from Kafka. Each provider has a topic, whose name identifies it; a reply is untrusted."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final
from uuid import UUID

import msgspec
from common.codes import uscc
from common.errors import BadMessage
from common.events import TaskReply
from common.message import Record, derived_id
from shell import clock
from shell.store.parked import park
from shell.store.transaction import Tx

from dispatch import store
from dispatch.answers import TaskAnswer, apply_answers
from dispatch.domain.answers import Answer
from dispatch.domain.task import Refused

REPLY_BYTES_MAX: Final = 4096
TOPICS: Final = r"^dispatch\.provider\.[0-9A-Z]{18}\.replies$"
PARKED: Final = frozenset({"unknown_task", "not_yours", "reason_not_a_code", "worker_not_a_code"})
_decoder = msgspec.json.Decoder(TaskReply)


async def on_replies(records: Sequence[Record], tx: Tx) -> None:
    """Apply each reply once. Park a malformed reply, and a reply to an unknown task or to another provider's task.

    Every other refused reply is only recorded with the task, for example after a race, or with a wrong time.
    """
    answers: list[TaskAnswer] = []
    answered: list[Record] = []
    for record in await _unclaimed(records, tx):
        try:
            answers.append(_answer_of(record))
        except BadMessage as bad:
            await park(tx, tx.service, record, bad.reason, None)
        else:
            answered.append(record)
    if not answers:
        return
    results = await apply_answers(tx, answers, "kafka", clock.now())
    for record, (result, _) in zip(answered, results, strict=True):
        if isinstance(result, Refused) and result.reason in PARKED:
            await park(tx, tx.service, record, f"reply_{result.reason}", None)


async def _unclaimed(records: Sequence[Record], tx: Tx) -> list[Record]:
    """Claim the records; returns those that were not claimed before, each reply id once."""
    by_id: dict[str, Record] = {}
    for record in records:
        by_id.setdefault(_reply_id(record), record)
    claimed = await store.claim_replies(tx, list(by_id))
    return [record for reply_id, record in by_id.items() if reply_id in claimed]


def _reply_id(record: Record) -> str:
    """Derive the id of a reply from the topic and the provider's event id, or else from the place in the topic."""
    event_id = record.header("ce_id")
    return derived_id("reply", record.topic, event_id or ":".join(map(str, record.place())))


def _provider_of(record: Record) -> str:
    """Return the provider's credit code from the name of the topic. Raises BadMessage for an invalid code."""
    provider = record.topic.split(".")[2]
    if not uscc.valid(provider):
        raise BadMessage("reply_topic_not_a_provider")
    return provider


def _answer_of(record: Record) -> TaskAnswer:
    """Decode a reply. Raises BadMessage for a malformed reply."""
    provider = _provider_of(record)
    if record.value is None or len(record.value) > REPLY_BYTES_MAX:
        raise BadMessage("reply_empty_or_too_large")
    try:
        reply = _decoder.decode(record.value)
        task_id = str(UUID(reply.task_id))
        at = reply.at.astimezone(UTC)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise BadMessage("reply_undecodable") from error
    answer = Answer(reply.answer, provider, at, reply.worker, reply.reason, reply.outcome)
    return TaskAnswer(task_id, answer)
