"""Micro-batching between the HTTP door and the database: requests wait together and commit together.

Nothing but this process holds what waits, and nobody was told `accepted` yet: a crash loses only what its senders
will send again. The queue is bounded; when it is full the door says so (429).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from common.errors import TooBusy, Unavailable
from shell import clock
from shell.store.database import Database
from shell.store.failures import is_unavailable

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections

log = logging.getLogger(__name__)
QUEUE_WEIGHT_MAX: Final = 20_000
BATCH_WEIGHT_MAX: Final = 2_000
TRIES_MAX: Final = 4
RECORDING_MAX: Final = 2  # while the database works on one full batch, the next is read and decided
FEW_PARTS: Final = 20
GATHER_SECONDS: Final = 0.005  # after a few requests: those that come meanwhile share a transaction
URGENT_EVENTS_MAX: Final = 50


@dataclass(eq=False)
class _Part:
    """A piece of one request that fits into a batch."""

    events: list[Pushed]
    refused: Sequence[Rejected] = ()
    done: asyncio.Future[list[Receipt]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        return len(self.refused) + sum(1 + len(e.members) for e in self.events)

    @property
    def urgent(self) -> bool:
        return len(self.events) <= URGENT_EVENTS_MAX and any(e.kind in URGENT_KINDS for e in self.events)


class Intake:
    """One per process. Its worker lives while something waits; a second one helps while a whole batch does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._parts: deque[_Part] = deque()
        self._urgent: deque[_Part] = deque()  # a death does not wait behind a monthly load
        self._weight = 0  # of all that has no answer yet
        self._waiting = 0  # of what no transaction has taken yet
        self._workers: list[asyncio.Task[None]] = []

    async def submit(self, events: Sequence[Pushed], refused: Sequence[Rejected]) -> list[Receipt]:
        """Receipts of `events` in their order, once they are committed; `refused` are only counted. Raises TooBusy."""
        parts = _parts(events, refused)
        weight = sum(part.weight for part in parts)
        if self._weight and self._weight + weight > QUEUE_WEIGHT_MAX:
            raise TooBusy("more waits to be recorded than we can hold", retry_after_seconds=1)
        for part in parts:
            (self._urgent if part.urgent else self._parts).append(part)
        self._weight += weight
        self._waiting += weight
        self._call_workers()
        results = await asyncio.gather(*(part.done for part in parts), return_exceptions=True)
        broken = next((r for r in results if isinstance(r, BaseException)), None)
        if broken is not None:
            raise broken
        return [receipt for receipts in results for receipt in receipts]  # type: ignore[union-attr]

    def _call_workers(self) -> None:
        wanted = RECORDING_MAX if self._waiting >= BATCH_WEIGHT_MAX else 1
        self._workers = [worker for worker in self._workers if not worker.done()]
        if len(self._workers) < wanted:
            self._workers.append(asyncio.create_task(self._drain(), name="intake"))

    async def _drain(self) -> None:
        while self._urgent or self._parts:
            batch = self._next_batch()
            weight = sum(part.weight for part in batch)
            self._waiting -= weight
            try:
                await self._record(batch)
                if len(batch) < FEW_PARTS:
                    await asyncio.sleep(GATHER_SECONDS)
            except BaseException as error:
                for part in (*batch, *self._urgent, *self._parts):
                    if not part.done.done():
                        part.done.set_exception(Unavailable(type(error).__name__))
                self._urgent.clear()
                self._parts.clear()
                self._weight -= self._waiting
                self._waiting = 0
                raise
            finally:
                self._weight -= weight

    def _next_batch(self) -> list[_Part]:
        batch: list[_Part] = []
        weight = 0
        for queue in (self._urgent, self._parts):
            while queue and (not batch or weight + queue[0].weight <= BATCH_WEIGHT_MAX):
                batch.append(queue.popleft())
                weight += batch[-1].weight
        return batch

    async def _record(self, batch: Sequence[_Part]) -> None:
        """One transaction; on a bug the batch is halved until the one event is found."""
        error: Exception | None = None
        for tries in range(TRIES_MAX):
            try:
                receipts = await self._commit(batch)
            except Exception as wrong:  # noqa: BLE001 - as in the consumer: the one place where everything ends up
                error = wrong
                if not is_unavailable(wrong):
                    break
                await asyncio.sleep(0.02 * 2**tries)
                continue
            for part in batch:
                answer = [receipts.popleft() for _ in part.events]
                if not part.done.done():
                    part.done.set_result(answer)
            return
        assert error is not None
        if is_unavailable(error):
            for part in batch:
                if not part.done.done():
                    part.done.set_exception(Unavailable(type(error).__name__))
            return
        await self._halve(batch, error)

    async def _commit(self, batch: Sequence[_Part]) -> deque[Receipt]:
        now = clock.now()
        async with self.database.transaction() as tx:
            receipts = await record(tx, [e for part in batch for e in part.events], now)
            await record_rejections(tx, [r for part in batch for r in part.refused], now)
        return deque(receipts)

    async def _halve(self, batch: Sequence[_Part], error: Exception) -> None:
        if len(batch) > 1:
            log.warning("a batch of %d requests failed (%s): halving", len(batch), type(error).__name__)
            middle = len(batch) // 2
            await self._record(batch[:middle])
            await self._record(batch[middle:])
            return
        (part,) = batch
        if len(part.events) <= 1:
            log.error("an event could not be recorded: %s", type(error).__name__)
            answer = [Receipt(e.id, e.event_id, "rejected", [fault("", "internal")]) for e in part.events]
            if not part.done.done():
                part.done.set_result(answer)
            return
        middle = len(part.events) // 2
        halves = [_Part(part.events[:middle], part.refused), _Part(part.events[middle:])]
        for half in halves:
            await self._record([half])
        if part.done.done():
            return
        broken = next((h.done.exception() for h in halves if h.done.exception() is not None), None)
        if broken is not None:
            part.done.set_exception(broken)
        else:
            part.done.set_result([r for half in halves for r in half.done.result()])


def _parts(events: Sequence[Pushed], refused: Sequence[Rejected]) -> list[_Part]:
    parts: list[_Part] = []
    current: list[Pushed] = []
    weight = 0
    for event in events:
        cost = 1 + len(event.members)
        if current and weight + cost > BATCH_WEIGHT_MAX:
            parts.append(_Part(current))
            current, weight = [], 0
        current.append(event)
        weight += cost
    parts.append(_Part(current, refused))
    return parts
