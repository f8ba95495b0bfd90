"""Counts crashes of the process for each file and each front-end table.

A step is counted in the database before it begins, and uncounted when it ends. The remaining count is the number of
steps during which the process ended, for example because the system had no free memory.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
from shell.store.failures import UNAVAILABLE

CRASHES_MAX: Final = 3
Begin = Callable[[asyncpg.Connection, str, bool], Awaitable[int]]
End = Callable[[asyncpg.Connection, str, int], Awaitable[None]]


class CrashCounter:
    """Counts the steps of a file or table that began and did not end. The two functions store the count.

    `begin(connection, name, outlived)` counts a step and returns the number of earlier steps that did not end.
    `outlived`: the step before ended, but its end could not be stored. `end(connection, name, left)` sets the count."""

    def __init__(self, begin: Begin, end: End) -> None:
        self._begin, self._end = begin, end
        self._outlived: set[str] = set()  # names of steps that ended while the database was unavailable

    async def begin(self, connection: asyncpg.Connection, name: str) -> bool:
        """Count a step. False: the process crashed too often, and the step must not begin."""
        crashes = await self._begin(connection, name, name in self._outlived)
        self._outlived.discard(name)
        return crashes < CRASHES_MAX

    async def end(self, connection: asyncpg.Connection, name: str, *, left: int = 0) -> None:
        """Store that the step has ended, normally or with an exception. `left`: the count that remains."""
        try:
            await self._end(connection, name, left)
        except UNAVAILABLE:
            self._outlived.add(name)
