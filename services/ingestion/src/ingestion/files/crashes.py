"""Deaths of the process, counted for each file and each front-end table that it works on.

A step is counted in the database before it begins and uncounted when it ends. What remains are steps during which the
process ended, for example because the system had no memory left.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from shell.store.failures import UNAVAILABLE

DEATHS_MAX: Final = 3
Begin = Callable[[Any, str, bool], Awaitable[int]]
End = Callable[[Any, str, int], Awaitable[None]]


class Deaths:
    """`begin(connection, name, outlived)` adds a step and returns how many never ended; `end(connection, name, left)`
    sets the count."""

    def __init__(self, begin: Begin, end: End) -> None:
        self._begin, self._end = begin, end
        self._outlived: set[str] = set()  # steps that ended here while the database was away

    async def begin(self, connection: Any, name: str) -> bool:
        """Count a step. False: the process died too often, and the step must not begin."""
        died = await self._begin(connection, name, name in self._outlived)
        self._outlived.discard(name)
        return died < DEATHS_MAX

    async def end(self, connection: Any, name: str, *, left: int = 0) -> None:
        """The step has ended, in order or with an exception."""
        try:
            await self._end(connection, name, left)
        except UNAVAILABLE:
            self._outlived.add(name)
