"""The queue between HTTP requests and the database: requests that wait together are committed together.

The queue is in memory only. No waiting event is acknowledged yet, so a crash loses only events that their senders send
again. The queue is bounded: when it is full, `submit` raises TooBusy (429).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from common.errors import TooBusy, Unavailable
from shell import clock
from shell.halving import Halves, apply_by_halves, halves, repeat_while_unavailable
from shell.store.database import Database

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections, rejected_by_core

log = logging.getLogger(__name__)
QUEUE_WEIGHT_MAX: Final = 20_000
BATCH_WEIGHT_MAX: Final = 2_000
RECORDING_MAX: Final = 2  # while the database works on one full batch, the next one is read and decided
FEW_PARTS: Final = 20
GATHER_SECONDS: Final = 0.005  # the pause after a batch of few requests, so that later ones share a transaction
URGENT_EVENTS_MAX: Final = 50


@dataclass(eq=False)
class _Part:
    """A part of one request that fits into a batch.

    `rejected`: rejected events to store; they get no receipt here. `whole`: after a bug, the part of which this one is
    a half. `receipts`: the receipts that its halves have returned, in the order of the events. `done`: the receipts of
    all events, or the error."""

    events: list[Pushed]
    rejected: Sequence[Rejected] = ()
    whole: "_Part | None" = None
    receipts: list[Receipt] = field(default_factory=list)
    done: asyncio.Future[list[Receipt]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        return len(self.rejected) + sum(_weight(event) for event in self.events)

    @property
    def urgent(self) -> bool:
        return len(self.events) <= URGENT_EVENTS_MAX and any(e.kind in URGENT_KINDS for e in self.events)

    def answer(self, receipts: list[Receipt]) -> None:
        """Give the request the receipts of this part, one per event. A half passes them to its `whole`."""
        if self.whole is not None:
            self.whole.receipts += receipts
            if len(self.whole.receipts) == len(self.whole.events):
                self.whole.answer(self.whole.receipts)
        elif not self.done.done():
            self.done.set_result(receipts)

    def fail(self, error: Exception) -> None:
        """Give the request an error. At least one event is not recorded, so the sender must send all events again."""
        if self.whole is not None:
            self.whole.fail(error)
        elif not self.done.done():
            self.done.set_exception(error)

    def halve(self) -> "tuple[_Part, _Part] | None":
        """Return the two halves of this part, in the order of recording. None: it has one event alone, or rejected
        events alone.

        The rejected events come first: the request is answered once all its other events are."""
        parts = halves(self.events)
        if parts is not None:
            first, second = parts
            return _Part(list(first), self.rejected, self), _Part(list(second), (), self)
        if self.events and self.rejected:
            return _Part([], self.rejected, self), _Part(self.events, (), self)
        return None


class Intake:
    """The queue of one process. A worker task records parts while any part waits. A second worker can help while a full
    batch waits."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._parts: deque[_Part] = deque()
        self._urgent: deque[_Part] = deque()  # a death does not wait behind a monthly load
        self._weight = 0  # of all parts without an answer
        self._waiting = 0  # of all parts that no transaction has taken yet
        self._workers: list[asyncio.Task[None]] = []

    async def submit(self, events: Sequence[Pushed], rejected: Sequence[Rejected]) -> list[Receipt]:
        """Record events and store rejected ones; return the receipts of `events` in their order, after the commit.

        Raises TooBusy if the queue is full, and Unavailable if the database stays unavailable."""
        parts = _parts(events, rejected)
        weight = sum(part.weight for part in parts)
        if self._weight and self._weight + weight > QUEUE_WEIGHT_MAX:
            raise TooBusy("more waits to be recorded than we can hold", retry_after_seconds=1)
        for part in parts:
            (self._urgent if part.urgent else self._parts).append(part)
        self._weight += weight
        self._waiting += weight
        self._start_workers()
        results = await asyncio.gather(*(part.done for part in parts), return_exceptions=True)
        found: list[Receipt] = []
        for receipts in results:
            if isinstance(receipts, BaseException):
                raise receipts
            found += receipts
        return found

    def _start_workers(self) -> None:
        wanted = RECORDING_MAX if self._waiting >= BATCH_WEIGHT_MAX else 1
        self._workers = [worker for worker in self._workers if not worker.done()]
        if len(self._workers) < wanted:
            self._workers.append(asyncio.create_task(self._drain(), name="intake"))

    async def _drain(self) -> None:
        """Record batches until no part waits. This is the task of a worker."""
        while self._urgent or self._parts:
            batch = self._next_batch()
            weight = sum(part.weight for part in batch)
            self._waiting -= weight
            try:
                await self._record(batch)
                if len(batch) < FEW_PARTS:
                    await asyncio.sleep(GATHER_SECONDS)
            except BaseException as error:
                self._fail_all(batch, error)
                raise
            finally:
                self._weight -= weight

    def _fail_all(self, batch: Sequence[_Part], error: BaseException) -> None:
        """Give Unavailable to the parts of `batch` and to all waiting parts, and empty the queue. The worker ends."""
        for part in (*batch, *self._urgent, *self._parts):
            part.fail(Unavailable(type(error).__name__))
        self._urgent.clear()
        self._parts.clear()
        self._weight -= self._waiting
        self._waiting = 0

    def _next_batch(self) -> list[_Part]:
        batch: list[_Part] = []
        weight = 0
        for queue in (self._urgent, self._parts):
            while queue and (not batch or weight + queue[0].weight <= BATCH_WEIGHT_MAX):
                batch.append(queue.popleft())
                weight += batch[-1].weight
        return batch

    async def _record(self, batch: Sequence[_Part]) -> None:
        """Record the parts in one transaction. After a bug, record halves, down to the one event that is rejected."""
        await apply_by_halves(batch, self._apply, self._reject, split=_split)

    async def _apply(self, batch: Sequence[_Part]) -> None:
        """Commit the parts and answer each of them. If the database stays unavailable, these parts get the error."""
        try:
            receipts = await repeat_while_unavailable(lambda: self._commit(batch))
        except Unavailable as error:
            for part in batch:
                part.fail(Unavailable(str(error)))
            return
        for part in batch:
            part.answer([receipts.popleft() for _ in part.events])

    async def _commit(self, batch: Sequence[_Part]) -> deque[Receipt]:
        now = clock.now()
        async with self.database.transaction() as tx:
            events = [e for part in batch for e in part.events]
            receipts = await record(tx, events, now)
            rejected = [r for part in batch for r in part.rejected]
            await record_rejections(tx, [*rejected, *rejected_by_core(events, receipts)], now)
        return deque(receipts)

    async def _reject(self, batch: Sequence[_Part], error: Exception) -> None:
        log.error("an event could not be recorded: %s", type(error).__name__)
        for part in batch:
            part.answer([Receipt(e.id, e.event_id, "rejected", [fault("", "internal")]) for e in part.events])


def _split(batch: Sequence[_Part]) -> Halves[_Part] | None:
    """Split a batch between two parts. If it has one part, halve this part. None: it cannot be split."""
    if len(batch) > 1:
        return halves(batch)
    parts = batch[0].halve()
    return ([parts[0]], [parts[1]]) if parts else None


def _parts(events: Sequence[Pushed], rejected: Sequence[Rejected]) -> list[_Part]:
    """Divide a request into parts, whose events weigh at most BATCH_WEIGHT_MAX each. The last part has all rejected
    events, too."""
    parts: list[_Part] = []
    current: list[Pushed] = []
    weight = 0
    for event in events:
        if current and weight + _weight(event) > BATCH_WEIGHT_MAX:
            parts.append(_Part(current))
            current, weight = [], 0
        current.append(event)
        weight += _weight(event)
    parts.append(_Part(current, rejected))
    return parts


def _weight(event: Pushed) -> int:
    """The number of persons that an event changes: its person, and each member whom it names."""
    return 1 + len(event.members)
