"""Run long computations in worker processes, so that live changes and HTTP callers do not wait.

The workers have a lower priority than the service, and they end when the service ends.
"""

import asyncio
import gc
import multiprocessing
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from identification.settings import WorkerSettings

R = TypeVar("R")
_NICENESS: Final = 10
_pool: ProcessPoolExecutor | None = None


def workers_max() -> int:
    return WorkerSettings().simulation_workers


def in_worker(function: Callable[..., R], *arguments: object) -> Awaitable[R]:
    """Call a function in a worker process. The function must be importable, and its arguments picklable.

    Dead workers are replaced. If a worker dies during the call, the result is an error (`is_worker_lost`).
    """
    loop = asyncio.get_running_loop()
    try:
        return loop.run_in_executor(_workers(), function, *arguments)
    except BrokenProcessPool:
        dismiss_workers()
        return loop.run_in_executor(_workers(), function, *arguments)


def _workers() -> ProcessPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ProcessPoolExecutor(
            workers_max(),
            mp_context=multiprocessing.get_context("spawn"),  # a fork would copy connections and threads
            initializer=_prepare,
        )
    return _pool


def dismiss_workers() -> None:
    """Free the memory of all workers. The next call starts new ones."""
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=False, cancel_futures=True)
        _pool = None


def is_worker_lost(error: BaseException | None) -> bool:
    """Whether a worker died (killed, out of memory), in contrast to a failed call."""
    return isinstance(error, BrokenProcessPool)


def _prepare() -> None:
    """Prepare a new worker: lower priority, less garbage collection, an end with the service."""
    os.nice(_NICENESS)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the service process has ended, then end this worker."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
