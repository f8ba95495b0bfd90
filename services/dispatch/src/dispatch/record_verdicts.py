"""Store the verdicts of supervision (verified or disputed) about completed visits with their tasks."""

from collections.abc import Sequence

from common.events import VisitDisputed, VisitVerified
from common.message import Message
from shell.store.transaction import Tx

from dispatch import store


async def on_visits_verified(messages: Sequence[Message[VisitVerified]], tx: Tx) -> None:
    await store.set_verdicts(tx, [m.data.task_id for m in messages], "verified")


async def on_visits_disputed(messages: Sequence[Message[VisitDisputed]], tx: Tx) -> None:
    await store.set_verdicts(tx, [m.data.task_id for m in messages], "disputed")
