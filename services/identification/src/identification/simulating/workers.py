"""A few processes beside the service for work that is all thinking, so that live changes and callers do not wait.

They are niced, so live work goes first on a full machine; they end with their parent, however it ends.
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

from pydantic_settings import BaseSettings, SettingsConfigDict

R = TypeVar("R")
_NICENESS: Final = 10
_pool: ProcessPoolExecutor | None = None


class WorkerSettings(BaseSettings):
    """SHOUWANG_SIMULATION_WORKERS: how many processes; about 100 MB each while a simulation runs. 0: the service does
    it between its other work, in small bites."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    simulation_workers: int = 2


def workers_max() -> int:
    return WorkerSettings().simulation_workers


def in_worker(function: Callable[..., R], *arguments: object) -> Awaitable[R]:
    """The function and its arguments travel, so they must be importable and picklable. Workers that died before are
    replaced; one that dies meanwhile is an error of the result (`is_worker_lost`)."""
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
            initializer=_begin,
        )
    return _pool


def dismiss_workers() -> None:
    """Give their memory back; the next call starts new ones."""
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=False, cancel_futures=True)
        _pool = None


def is_worker_lost(error: BaseException | None) -> bool:
    """Whether a worker died (killed, out of memory) rather than failed."""
    return isinstance(error, BrokenProcessPool)


def _begin() -> None:
    os.nice(_NICENESS)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
