"""Providers' answers on their own Kafka topics. Untrusted: who answers is known from the topic's name alone."""

from collections.abc import Sequence
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
from dispatch.answering import Given, take_answers
from dispatch.domain.answer import Answer
from dispatch.domain.task import Refused

REPLY_BYTES_MAX: Final = 4096
TOPICS: Final = r"^dispatch\.provider\.[0-9A-Z]{18}\.replies$"
PARKED: Final = frozenset({"unknown_task", "not_yours", "reason_not_a_code", "worker_not_a_code"})
_decoder = msgspec.json.Decoder(TaskReply)


async def on_replies(records: Sequence[Record], tx: Tx) -> None:
    """Each reply is taken once. What is broken or about somebody else's task is parked; a refusal because of the
    task's state is an ordinary race and recorded with the task."""
    fresh = await store.claim_replies(tx, [_reply_id(record) for record in records])
    given: list[Given] = []
    answered: list[Record] = []
    for record in records:
        reply_id = _reply_id(record)
        if reply_id not in fresh:
            continue
        fresh.discard(reply_id)
        try:
            given.append(_read(record))
        except BadMessage as bad:
            await park(tx, tx.service, record, bad.reason, None)
            continue
        answered.append(record)
    if not given:
        return
    results = await take_answers(tx, given, "kafka", clock.now())
    for record, (result, _) in zip(answered, results, strict=True):
        if isinstance(result, Refused) and result.reason in PARKED:
            await park(tx, tx.service, record, f"reply_{result.reason}", None)


def _reply_id(record: Record) -> str:
    """The provider's own event id within its topic, or else the place in it."""
    named = record.header("ce_id")
    return derived_id("reply", record.topic, named or ":".join(map(str, record.place())))


def _read(record: Record) -> Given:
    provider = record.topic.split(".")[2]
    if not uscc.valid(provider):
        raise BadMessage("reply_topic_not_a_provider")
    if record.value is None or len(record.value) > REPLY_BYTES_MAX:
        raise BadMessage("reply_empty_or_too_large")
    try:
        reply = _decoder.decode(record.value)
        task_id = str(UUID(reply.task_id))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadMessage("reply_undecodable") from error
    return Given(task_id, Answer(reply.answer, provider, reply.at, reply.worker, reply.reason, reply.outcome))
