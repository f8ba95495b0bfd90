"""Pushes events to the intake: in batches, at a fixed rate, or each after the answer to the one before."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.effects import receipts
from benchmarks.home import Tokens, progress
from benchmarks.intake_client import BATCH, SINGLE, IntakeClient
from benchmarks.people import Events, SourceEvent, batch_body, batches_by_source

BATCH_EVENTS_MAX = 1_000
CONNECTIONS_PER_SOURCE = 8
START_DELAY_SECONDS = 0.1
PROGRESS_EVERY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class PushedBatch:
    """A batch with its answer. `sent_at`: just before the request, in monotonic seconds. `answer`: the body with the
    receipts."""

    events: Events
    sent_at: float
    answer: bytes


@dataclass(slots=True)
class BatchPushes:
    """All pushed batches. `busy_answers`: how many times the intake was busy and a batch was sent again."""

    batches: list[PushedBatch] = field(default_factory=list)
    busy_answers: int = 0


async def push_batches(url: str, events: Events, tokens: Tokens) -> BatchPushes:
    """Push as fast as the intake answers, with one connection per source. `tokens`: by source."""
    pushes = BatchPushes()
    prepared = {
        source: [(batch, batch_body(batch)) for batch in batches]
        for source, batches in batches_by_source(events, BATCH_EVENTS_MAX).items()
    }

    async def push_source(source: str, client: IntakeClient) -> None:
        for batch, body in prepared[source]:
            sent_at = time.monotonic()
            pushes.batches.append(PushedBatch(batch, sent_at, await client.push(body, BATCH)))
        pushes.busy_answers += client.busy_answers

    async with AsyncExitStack() as stack:
        clients = {source: await stack.enter_async_context(IntakeClient(url, tokens[source])) for source in prepared}
        await asyncio.gather(*(push_source(source, client) for source, client in clients.items()))
    return pushes


@dataclass(slots=True)
class SinglePushes:
    """All changes that were pushed one by one. `sent`: scheduled instant of each change by event id, in monotonic
    seconds. `answer_seconds`: from that instant to the answer."""

    sent: dict[str, float] = field(default_factory=dict)
    answer_seconds: list[float] = field(default_factory=list)


class _Connections:
    """Keeps eight connections per source; a push waits for a free one."""

    def __init__(self) -> None:
        self._free: dict[str, asyncio.Queue[IntakeClient]] = {}

    def add(self, source: str, client: IntakeClient) -> None:
        self._free.setdefault(source, asyncio.Queue()).put_nowait(client)

    async def push(self, change: SourceEvent) -> bytes:
        free = self._free[change.source]
        client = await free.get()
        answer = await client.push(change.body, SINGLE)
        free.put_nowait(client)
        return answer


@asynccontextmanager
async def _connected(url: str, tokens: Tokens, sources: set[str]) -> AsyncIterator[_Connections]:
    connections = _Connections()
    async with AsyncExitStack() as stack:
        for source in sources:
            for _ in range(CONNECTIONS_PER_SOURCE):
                connections.add(source, await stack.enter_async_context(IntakeClient(url, tokens[source])))
        yield connections


async def push_at_rate(url: str, changes: Events, rate: int, tokens: Tokens) -> SinglePushes:
    """Open loop: push `rate` changes per second. Each is timed from its scheduled instant, even if no connection is
    free then. `tokens`: by source. Raises an ExceptionGroup with a RuntimeError if a change is not accepted."""
    pushes = SinglePushes()
    async with _connected(url, tokens, {change.source for change in changes}) as connections:
        began = time.monotonic() + START_DELAY_SECONDS
        async with asyncio.TaskGroup() as group:
            for number, change in enumerate(changes):
                scheduled_at = began + number / rate
                await asyncio.sleep(max(0.0, scheduled_at - time.monotonic()))
                group.create_task(_push_single(connections, change, scheduled_at, pushes))
                if number and number % (rate * PROGRESS_EVERY_SECONDS) == 0:
                    progress(f"  {number:,} of {len(changes):,} changes")
    return pushes


async def _push_single(
    connections: _Connections, change: SourceEvent, scheduled_at: float, pushes: SinglePushes
) -> None:
    answer = await connections.push(change)
    pushes.answer_seconds.append(time.monotonic() - scheduled_at)
    (receipt,) = receipts(answer)
    if receipt["status"] != "accepted":
        raise RuntimeError(f"a change was not accepted: {receipt}")
    pushes.sent[receipt["event_id"]] = scheduled_at


async def push_closed_loop(url: str, changes: Events, tokens: Tokens) -> None:
    """Push all changes, over eight connections per source. A connection pushes its next change when the one before is
    answered. The receipts are not checked. `tokens`: by source."""
    async with asyncio.TaskGroup() as group:
        for source, token in tokens.items():
            waiting = iter([change for change in changes if change.source == source])
            for _ in range(CONNECTIONS_PER_SOURCE):
                group.create_task(_push_in_turn(IntakeClient(url, token), waiting))


async def _push_in_turn(client: IntakeClient, changes: Iterator[SourceEvent]) -> None:
    """Push changes from an iterator that several connections share."""
    async with client:
        for change in changes:
            await client.push(change.body, SINGLE)
