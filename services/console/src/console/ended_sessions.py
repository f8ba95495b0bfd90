"""The sessions that ended before their tokens did, in the memory of this process.

This ends a session at once. Another replica, or this one after a restart, learns of the end when the issuer refuses
the next access token, at most `token_seconds_max` later.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

ENTRIES_MAX: Final = 20_000


class EndedSessions:
    """Names of ended sessions: `id:…` of one session, `sid:…` of the issuer's session, `sub:…` of all sessions of one
    user. At most ENTRIES_MAX; the oldest are forgotten."""

    def __init__(self) -> None:
        self._before: OrderedDict[str, float] = OrderedDict()

    def add(self, name: str, before: float = float("inf")) -> None:
        """Note the end of the sessions that began before `before` (seconds since 1970, real time)."""
        self._before[name] = before
        self._before.move_to_end(name)
        while len(self._before) > ENTRIES_MAX:
            self._before.popitem(last=False)

    def has(self, names: Iterable[str], started_at: float) -> bool:
        """Whether the session with these names, which began at `started_at`, has ended."""
        return any(started_at < self._before.get(name, float("-inf")) for name in names)
