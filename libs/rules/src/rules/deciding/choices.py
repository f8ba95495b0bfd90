"""Where of several items a person may have one and must choose.

What they have stays; what comes in addition asks (`choice_required`). Where nothing is there yet, all of them ask. A
choice counts from its day until the chosen item is no longer given, for whatever reason; a later choice takes its
place. What gives way to a choice is suppressed, and comes back when the chosen item ends.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from rules.deciding.exclusions import Relations, beaten, giving_way
from rules.deciding.outcome import Outcome


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The person wants `item` where the lists let only one of several be had, from `chosen_on` on."""

    choice_id: str
    item: str
    chosen_on: date
    recorded_at: datetime


class Lost(NamedTuple):
    """Why an item gives way, and to which one (None: to others that ask as well)."""

    state: str
    by: str | None


class Holder:
    """What a person has and has chosen, carried through a life from its first day on, stretch by stretch."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._waiting = sorted(choices, key=_order, reverse=True)
        self._chosen: dict[str, str] = {}  # item → choice id, in the order of choosing
        self._since: dict[str, date] = {}  # item → first day of having it without a break

    def carry(
        self, outcomes: Sequence[Outcome], relations: Relations, day: date
    ) -> tuple[list[Outcome], dict[str, str]]:
        """The outcomes of a stretch that begins on `day`, everything settled, and by item the choice behind it.

        `outcomes` have passed the blocks, nothing else. Stretches come in order, without gaps.
        """
        while self._waiting and self._waiting[-1].chosen_on <= day:
            choice = self._waiting.pop()
            self._chosen.pop(choice.item, None)
            self._chosen[choice.item] = choice.choice_id
        lost, self._chosen = self._settle(outcomes, relations)
        settled = [giving_way(o, *lost[o.item]) if o.item in lost else o for o in outcomes]
        self._since = {o.item: self._since.get(o.item, day) for o in settled if o.given}
        behind: dict[str, str] = {}
        for item, (_, by) in lost.items():
            if by in self._chosen:
                behind[item] = behind[by] = self._chosen[by]
        return settled, behind

    def _settle(self, outcomes: Sequence[Outcome], relations: Relations) -> tuple[dict[str, Lost], dict[str, str]]:
        """What gives way, and the choices that still count. Whoever gives way beats nobody, which may bring others
        back into play; every round takes at least one out, so it ends."""
        out: set[str] = set()
        while True:
            lower = beaten(outcomes, relations, out)
            there = {o.item for o in outcomes if o.given and o.item not in lower}
            chosen = {item: choice for item, choice in self._chosen.items() if item in there}
            asked = self._choose(there, chosen, relations)
            more = {by for by in lower.values() if by in asked} - out
            if not more:
                return {item: Lost("suppressed", by) for item, by in lower.items()} | asked, chosen
            out |= more

    def _choose(self, there: set[str], chosen: dict[str, str], relations: Relations) -> dict[str, Lost]:
        """First what was chosen, the newest first; then what is had already, the longest first; the rest asks.
        Takes choices out of `chosen` that a later one has replaced."""
        rivals = {item: [r for r in relations.rivals.get(item, ()) if r in there] for item in there}
        contested = sorted((item for item in there if rivals[item]), key=lambda i: relations.rank[i])
        wanted = [item for item in reversed(chosen) if item in contested]
        had = [item for item in contested if item in self._since and item not in wanted]
        given: list[str] = []
        lost: dict[str, Lost] = {}
        for item in wanted + sorted(had, key=lambda i: self._since[i]):
            against = next((g for g in given if g in rivals[item]), None)
            if against is None:
                given.append(item)
            else:
                lost[item] = Lost("suppressed" if against in chosen else "choice_required", against)
                chosen.pop(item, None)
        fresh = [item for item in contested if item not in lost and item not in given]
        for item in fresh:
            against = next((g for g in given if g in rivals[item]), None)
            if against is not None:
                lost[item] = Lost("suppressed" if against in chosen else "choice_required", against)
        equal = [item for item in fresh if item not in lost]
        return lost | {i: Lost("choice_required", None) for i in equal if any(r in equal for r in rivals[i])}


def _order(choice: Choice) -> tuple[date, datetime, str]:
    return choice.chosen_on, choice.recorded_at, choice.choice_id
