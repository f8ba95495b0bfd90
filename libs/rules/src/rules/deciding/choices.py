"""Decide between items of which a person may have only one and must choose. Such items are rivals.

An item that the person has stays; of several rivals, the one that the person has longest. A further rival asks for a
choice (`choice_required`). If the person has none of the rivals, all of them ask for a choice.

A choice decides from its day on, if the person can have the item on that day. It ends on the first day on which the
person does not have the item, for any reason, and never comes back. Until then a rival of the item is suppressed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from rules.deciding.exclusions import Relations, beaten, giving_way
from rules.deciding.outcome import Outcome


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of `item` by a person. It decides between rivals from `chosen_on` on, if the person can have the item
    on that day."""

    choice_id: str
    item: str
    chosen_on: date
    recorded_at: datetime


class Lost(NamedTuple):
    """The result for an item that gives way: its new state and the stronger item (None: the rivals also ask)."""

    state: str
    by: str | None


class Holder:
    """Remembers the items that a person has and has chosen, while `carry` goes through the intervals of a life."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._waiting = sorted(choices, key=_order, reverse=True)
        self._chosen: dict[str, str] = {}  # item → choice id, in the order of choosing
        self._since: dict[str, date] = {}  # item → first day of having it without a break

    def carry(
        self, outcomes: Sequence[Outcome], relations: Relations, day: date
    ) -> tuple[list[Outcome], dict[str, str]]:
        """Return the outcomes from `day` on after all rules, and by item the id of the choice that decided.

        `outcomes`: after the blocks, before all other rules between items. Call this once for each interval with equal
        outcomes, in the order of days and without a gap. An interval must begin on the day of each choice.
        """
        while self._waiting and self._waiting[-1].chosen_on <= day:
            choice = self._waiting.pop()
            self._chosen.pop(choice.item, None)
            self._chosen[choice.item] = choice.choice_id
        lost, self._chosen = self._settle(outcomes, relations)
        settled = [giving_way(o, *lost[o.item]) if o.item in lost else o for o in outcomes]
        self._since = {o.item: self._since.get(o.item, day) for o in settled if o.given}
        return settled, self._choices_behind(lost)

    def _choices_behind(self, lost: Mapping[str, Lost]) -> dict[str, str]:
        """Return the choice id for each item that gives way to a chosen item, and for that chosen item."""
        behind: dict[str, str] = {}
        for item, (_, by) in lost.items():
            if by in self._chosen:
                behind[item] = behind[by] = self._chosen[by]
        return behind

    def _settle(self, outcomes: Sequence[Outcome], relations: Relations) -> tuple[dict[str, Lost], dict[str, str]]:
        """Return by item why it gives way, and by chosen item the id of its choice, if the choice still counts.

        An item that gives way beats no other item, so a beaten item may come back. Each round adds at least one such
        item to `out`, so the loop ends.
        """
        out: set[str] = set()
        while True:
            lower = beaten(outcomes, relations, out)
            there = {o.item for o in outcomes if o.given and o.item not in lower}
            chosen = {item: choice for item, choice in self._chosen.items() if item in there - out}
            asked = self._choose(there, out, chosen, relations)
            more = {by for by in lower.values() if by in asked}
            if not more:
                asked |= _still_out(out - asked.keys(), there - out - asked.keys(), relations)
                return {item: Lost("suppressed", by) for item, by in lower.items()} | asked, chosen
            out |= more

    def _choose(
        self, there: Collection[str], out: Collection[str], chosen: dict[str, str], relations: Relations
    ) -> dict[str, Lost]:
        """Return by item why it gives way to a rival. `there`: the given items that no higher amount beats.

        A chosen item is strongest, then an item that the person has, then a new item or one of `out`. The function
        removes from `chosen` the choices that a later choice replaced.
        """
        rivals = {item: [r for r in relations.rivals.get(item, ()) if r in there] for item in there}
        contested = sorted((item for item in there if rivals[item]), key=lambda i: relations.rank[i])
        given: list[str] = []
        lost: dict[str, Lost] = {}
        first = [item for item in self._first_in_line(contested, chosen) if item not in out]
        for item in first:
            against = _rival_among(given, rivals[item])
            if against is None:
                given.append(item)
            else:
                lost[item] = _lost_to(against, chosen)
                chosen.pop(item, None)
        return lost | _lost_of_new([item for item in contested if item not in first], given, chosen, rivals)

    def _first_in_line(self, contested: Sequence[str], chosen: Mapping[str, str]) -> list[str]:
        """Return the strong items in order: first the newest choice, then the item that the person has longest."""
        wanted = [item for item in reversed(list(chosen)) if item in contested]
        had = [item for item in contested if item in self._since and item not in wanted]
        return wanted + sorted(had, key=lambda item: self._since[item])


def _lost_of_new(
    new: Sequence[str], given: Sequence[str], chosen: Collection[str], rivals: Mapping[str, Collection[str]]
) -> dict[str, Lost]:
    """Return by new item why it gives way: to a rival in `given`, or because other new rivals also ask."""
    lost: dict[str, Lost] = {}
    for item in new:
        if (against := _rival_among(given, rivals[item])) is not None:
            lost[item] = _lost_to(against, chosen)
    asking = [item for item in new if item not in lost]
    return lost | {i: Lost("choice_required", None) for i in asking if _rival_among(asking, rivals[i])}


def _still_out(items: Collection[str], given: Collection[str], relations: Relations) -> dict[str, Lost]:
    """Return by item why it still gives way, although no rival is given any more.

    An item that excludes no given item is given too. `given`: the items that the person has without these items.
    """
    has = set(given)
    lost: dict[str, Lost] = {}
    for item in sorted(items, key=lambda i: relations.rank[i]):
        others = (*relations.rivals.get(item, ()), *relations.beaten_by.get(item, ()))
        against = next((other for other in others if other in has), None)
        if against is None:
            has.add(item)
        else:
            lost[item] = Lost("choice_required", against)
    return lost


def _rival_among(items: Sequence[str], rivals: Collection[str]) -> str | None:
    """Return the first item that is a rival; None: no item is."""
    return next((item for item in items if item in rivals), None)


def _lost_to(other: str, chosen: Collection[str]) -> Lost:
    """Return the result for an item that gives way to `other`: suppressed if `other` is chosen, else a choice."""
    return Lost("suppressed" if other in chosen else "choice_required", other)


def _order(choice: Choice) -> tuple[date, datetime, str]:
    return choice.chosen_on, choice.recorded_at, choice.choice_id
