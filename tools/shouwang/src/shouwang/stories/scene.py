"""Follows one person of a story: push events, wait for the platform's events, compare, print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from common.events import Event

from shouwang.stories import people
from shouwang.stories.money import owed, paid
from shouwang.stories.people import Elder
from shouwang.stories.platform import Json, Platform
from shouwang.stories.transcript import Transcript, only
from shouwang.stories.watch import Seen

E = TypeVar("E", bound=Event)


class Scene:
    """One person on one platform, with the transcript of the story.

    `person_id`: empty until the first push. `began`: monotonic seconds of the last action.
    """

    def __init__(self, platform: Platform, transcript: Transcript, elder: Elder) -> None:
        self.platform = platform
        self.transcript = transcript
        self.elder = elder
        self.person_id = ""
        self.began: float | None = None
        self._since = 0

    def action(self, text: str) -> None:
        """Print an action. Later calls of `event` ignore all events before it."""
        self._since = self.platform.watch.mark
        self.began = self.transcript.action(text)

    def note(self, text: str) -> None:
        """Print a line without a time."""
        self.transcript.observed(text)

    def observed(self, text: str, seen: Seen[Any] | None = None) -> None:
        """Print a reaction, with the seconds from the last action to `seen` (default: now)."""
        self.transcript.observed(text, self.began, seen.at if seen else None)

    # -- input

    async def push(self, *events: people.Event) -> list[str]:
        """Push events about this person; returns their event ids."""
        event_ids = await self.platform.push(*events)
        if not self.person_id:
            self.person_id = await self.platform.find(self.elder)
        return event_ids

    async def register(self, *more: people.Event) -> None:
        """Push the events of hukou and home, and `more` events in the same batch."""
        await self.push(*people.register_entries(self.elder, self.platform.now()), *more)

    # -- output

    async def event(self, cls: type[E], where: Callable[[E], bool] = lambda event: True) -> Seen[E]:
        """Wait for an event about the person, after the last action, for which `where` holds. Raises StoryFailed."""
        return await self.platform.watch.event(cls, self.person_id, where, since=self._since)

    async def observe(self, cls: type[E], text: str, where: Callable[[E], bool] = lambda event: True) -> Seen[E]:
        """Wait for an event like `event`, and print `text`."""
        seen = await self.event(cls, where)
        self.observed(text, seen)
        return seen

    async def entitlements(self, item: str, **params: Any) -> list[Json]:
        """Fetch the person's entitlements of one item. `params`: query parameters."""
        found = await self.platform.entitlements(self.person_id, **params)
        return [entitlement for entitlement in found if entitlement["item"] == item]

    async def entitlement(self, item: str) -> Json:
        """Fetch the only entitlement of an item. Raises StoryFailed for none or several."""
        return only(await self.entitlements(item), f"entitlements of {item}")

    async def explanation(self, item: str, **params: Any) -> Json:
        return await self.platform.explanation(self.person_id, item, **params)

    async def ledger(self) -> Json:
        return await self.platform.ledger(self.person_id)

    async def owed(self, item: str) -> dict[tuple[str, str], int]:
        """Fetch the fen due by (service month, area), held dues included."""
        return owed(await self.ledger(), item)

    async def owed_by_month(self, item: str) -> dict[str, int]:
        """Fetch the fen due by service month."""
        return by_month(await self.owed(item))

    async def paid_by_month(self, item: str) -> dict[str, int]:
        """Fetch the fen paid by service month."""
        return by_month(paid(await self.ledger(), item))


def by_month(amounts: dict[tuple[str, str], int]) -> dict[str, int]:
    """Remove the area from the keys (service month, area). At most one area may have an amount for a month."""
    return {month: amount_fen for (month, _), amount_fen in amounts.items()}
