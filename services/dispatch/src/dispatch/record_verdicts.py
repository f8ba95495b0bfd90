"""Store the verdicts of supervision (verified or disputed) about completed visits with their tasks."""

from collections.abc import Sequence

from common.events import VisitDisputed, VisitVerified
from common.message import Message
from shell.store.transaction import Tx

from dispatch import store


async def on_visits_judged(messages: Sequence[Message[VisitVerified | VisitDisputed]], tx: Tx) -> None:
    """Store the last verdict of each task. One handler takes both events, because their order decides."""
    await store.set_verdicts(tx, {m.data.task_id: _verdict(m.data) for m in messages})


def _verdict(event: VisitVerified | VisitDisputed) -> str:
    return "verified" if isinstance(event, VisitVerified) else "disputed"
