"""The watchdog: it finds a part of the process that makes no progress although work waits, and replaces it.

A part is the consumer, the relay, a job or the console's reader. Its guard looks at it every `look_seconds`:

- its task has ended: it is replaced;
- its progress changed, or no work waits: it is well;
- a store that it needs does not answer: it waits, and its time starts again at 0;
- work waits and the progress has not changed for `bound_seconds`: it has stalled and is replaced.

A replacement cancels the task and starts it again; the clean-up of the task stops its clients. Fence, inbox and outbox
keep this exactly-once. After `replacements_max` replacements without progress the process ends with EXIT_STALLED, and
its supervisor (Docker, Kubernetes) starts it again. A thread ends the process if the event loop is blocked.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from aiokafka.errors import KafkaError

from shell import metrics
from shell.settings import Settings
from shell.store.failures import is_unavailable

log = logging.getLogger(__name__)
EXIT_STALLED: Final = 70  # EX_SOFTWARE
CANCEL_SECONDS_MAX: Final = 45.0  # a client may need 10 s to stop, a statement as long to be cancelled
ASK_SECONDS_MAX: Final = 30.0
END_SECONDS_MAX: Final = 20.0  # for requests in progress
TICK_SECONDS: Final = 1.0


def _nothing() -> None:
    """Do nothing: most parts prepare nothing before they are replaced."""


@dataclass(frozen=True)
class Part:
    """A task of the process. `progress` changes whenever the part has done something. `waiting` describes the waiting
    work, or returns None. It is called only while the progress does not change, and raises while a store does not
    answer. `bound_seconds`: the longest time without progress while work waits. `before_replacing` may make the next
    attempt lighter."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    progress: Callable[[], Hashable]
    waiting: Callable[[], Coroutine[Any, Any, str | None]]
    bound_seconds: float
    before_replacing: Callable[[], None] = _nothing


class Guard:
    """Runs one part. `trouble`: the reason why it makes no progress, or None."""

    def __init__(self, service: str, part: Part, settings: Settings, give_up: Callable[[str], None]) -> None:
        self.part = part
        self.trouble: str | None = None
        self._settings = settings
        self._give_up = give_up
        self._labels = (service, part.name)
        self._replaced = 0
        self._still_seconds = 0.0
        self._progress: Hashable = None
        self._looked_at = monotonic()

    async def run(self) -> None:
        """Run the part, and replace it when it ends or stalls, until cancelled or given up."""
        metrics.stalled.labels(*self._labels).set(0)
        task = self._start()
        try:
            while True:
                await asyncio.wait({task}, timeout=self._settings.look_seconds)
                reason = await self._look(task)
                if reason is None:
                    continue
                if not await self._may_replace(task, reason):
                    return
                task = self._start()
        finally:
            await _cancel(task)

    def _start(self) -> "asyncio.Task[None]":
        self._still_seconds, self._looked_at = 0.0, monotonic()
        return asyncio.create_task(self.part.run(), name=self.part.name)

    async def _look(self, task: "asyncio.Task[None]") -> str | None:
        """Look at the part once: update `trouble`, and return the reason to replace the part, or None."""
        if task.done():
            error = None if task.cancelled() else task.exception()
            return f"ended: {type(error).__name__}"
        elapsed = self._elapsed()
        progress = self.part.progress()
        if progress != self._progress:
            self._progress = progress
            self._is_well()
            return None
        try:
            async with asyncio.timeout(ASK_SECONDS_MAX):
                waits = await self.part.waiting()
        except Exception as error:
            if not (is_unavailable(error) or isinstance(error, KafkaError)):
                log.exception("the watchdog of %s could not ask", self.part.name)
            self._still_seconds = 0.0
            self.trouble = f"a store does not answer: {type(error).__name__}"
            return None
        if waits is None:
            self._is_well()
            return None
        self._still_seconds += elapsed
        if self._still_seconds < self.part.bound_seconds:
            return None
        return f"nothing moved for {self._still_seconds:.0f} s, {waits}"

    def _elapsed(self) -> float:
        """Return the seconds since the last look, with a limit: a process that got no processor is not stalled."""
        before, self._looked_at = self._looked_at, monotonic()
        return min(self._looked_at - before, 2 * self._settings.look_seconds)

    def _is_well(self) -> None:
        if self.trouble is not None:
            log.info("%s moves again", self.part.name)
        self.trouble, self._replaced, self._still_seconds = None, 0, 0.0
        metrics.stalled.labels(*self._labels).set(0)

    async def _may_replace(self, task: "asyncio.Task[None]", reason: str) -> bool:
        """End the stalled task, and return whether it may be started again. If not, the process ends: after too many
        replacements without progress, or if the task cannot be cancelled."""
        metrics.stalled.labels(*self._labels).set(1)
        most = self._settings.replacements_max
        self.trouble = f"stalled: {reason} (replaced {self._replaced} of {most} times)"
        if self._replaced >= most:
            self._give_up(f"{self.part.name} {self.trouble}")
            return False
        log.error("replacing %s: %s", self.part.name, reason)
        self.part.before_replacing()
        if task.done():
            await asyncio.sleep(self._settings.look_seconds)  # a part that ends at once must not restart in a loop
        elif not await _cancel(task):
            self._give_up(f"{self.part.name} cannot be cancelled: {reason}")  # it must never run twice at the same time
            return False
        self._replaced += 1
        metrics.replaced.labels(*self._labels).inc()
        return True


async def _cancel(task: "asyncio.Task[None]") -> bool:
    """Cancel the task, and return whether it has ended within CANCEL_SECONDS_MAX."""
    task.cancel()
    await asyncio.wait({task}, timeout=CANCEL_SECONDS_MAX)
    if task.done() and not task.cancelled():
        task.exception()  # retrieved
    return task.done()


class Watchdog:
    """Guards all parts of a process. `given_up` is the reason once it has asked the process to end."""

    def __init__(self, service: str, parts: Sequence[Part], settings: Settings) -> None:
        self.given_up: str | None = None
        self._settings = settings
        self._guards = [Guard(service, part, settings, self._end_process) for part in parts]

    def trouble(self) -> list[str]:
        """Return `<part>: <reason>` for each part that makes no progress."""
        return [f"{guard.part.name}: {guard.trouble}" for guard in self._guards if guard.trouble is not None]

    async def run(self) -> None:
        """Run and guard all parts until cancelled. Then end all parts and wait for them."""
        alarm = LoopAlarm(self._settings.loop_seconds_max)
        guards = [asyncio.create_task(guard.run(), name=f"guard-{guard.part.name}") for guard in self._guards]
        for guard in guards:
            guard.add_done_callback(self._on_guard_ended)
        try:
            await alarm.tick()
        finally:
            alarm.stop()
            for guard in guards:
                guard.cancel()
            await asyncio.gather(*guards, return_exceptions=True)

    def _on_guard_ended(self, guard: "asyncio.Task[None]") -> None:
        """End the process if a guard has failed, because its part would run without a guard."""
        if not guard.cancelled() and (error := guard.exception()) is not None:
            self._end_process(f"{guard.get_name()} failed: {type(error).__name__}")

    def _end_process(self, reason: str) -> None:
        """Send SIGTERM to this process, so that the server answers open requests and stops. See `leave`."""
        if self.given_up is None:
            self.given_up = reason
            log.critical("this process ends with code %d: %s", EXIT_STALLED, reason)
            _leave_after(END_SECONDS_MAX)
            os.kill(os.getpid(), signal.SIGTERM)

    def leave(self) -> None:
        """End the process with EXIT_STALLED if the watchdog gave up. Call it when the server has stopped."""
        if self.given_up is not None:
            _leave()


class LoopAlarm:
    """A thread that ends the process after the event loop was blocked for `seconds_max`."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._ticks = 0
        self._stopped = threading.Event()
        threading.Thread(target=self._listen, name="loop-alarm", daemon=True).start()

    async def tick(self) -> None:
        """Show every TICK_SECONDS that the event loop is not blocked, until cancelled."""
        while True:
            self._ticks += 1
            await asyncio.sleep(TICK_SECONDS)

    def stop(self) -> None:
        self._stopped.set()

    def _listen(self) -> None:
        silent_seconds, before = 0.0, -1
        while not self._stopped.wait(TICK_SECONDS):
            # counted in rounds of this thread: a process that got no processor is not blocked
            silent_seconds = 0.0 if self._ticks != before else silent_seconds + TICK_SECONDS
            before = self._ticks
            if silent_seconds >= self._seconds_max:
                log.critical("this process ends with code %d: its event loop is blocked", EXIT_STALLED)
                _leave()


def _leave_after(seconds: float) -> None:
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    logging.shutdown()
    os._exit(EXIT_STALLED)
