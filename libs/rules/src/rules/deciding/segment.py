"""Compute the outcomes of a segment.

A segment is a period in which the same versions and rules count for all persons of one hukou and one residence.
"""

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from datetime import date
from typing import Any

import msgspec

from rules.deciding.areas import Codes
from rules.deciding.exclusions import beaten, block, contested, giving_way, relate
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.precedence import give_up, yield_elsewhere
from rules.facts.coverage import Where
from rules.form.policy import NATION, Exclusion
from rules.form.situation import ELSEWHERE, WISHES, Situation


class Segment:
    """The days [`start`, `end`) with the versions and rules that count. `hukou`, `residence`: the areas that contain
    the place, nearest first; None if it is unknown."""

    def __init__(
        self,
        period: tuple[date, date],
        places: tuple[Codes | None, Codes | None],
        applicable: Iterable[Applicable],
        rules: Sequence[tuple[str, Sequence[Exclusion]]],
    ) -> None:
        self.start, self.end = period
        self.hukou, self.residence = places
        self.applicable = tuple(applicable)
        where = self.where
        areas_of = {a.item.item: where.hukou if a.item.follows == "hukou" else where.residence for a in self.applicable}
        self.relations = relate(rules, areas_of)

    @property
    def where(self) -> Where:
        """The places whose sources report facts. If one place is unknown, the other replaces it."""
        return where_of(self.hukou, self.residence)

    def situation(self, rest: Iterable[Any]) -> Situation:
        """Return the situation of a person of these places. `rest`: the values of the circumstances of `REST`."""
        return (self.hukou, self.residence, *rest)

    def contenders(self, key: tuple[Any, ...]) -> list[Outcome]:
        """Return the outcome of every item that is not refused, sorted by item. Of the rules between items only the
        blocks are applied.

        `key`: the values of the circumstances of `REST`, then whether a death is suspected.
        """
        situation = self.situation(key[:-1])
        outcomes = [outcome for a in self.applicable if (outcome := a.outcome(situation))]
        if situation[WISHES]:
            outcomes = give_up(outcomes, situation[WISHES])
        if situation[ELSEWHERE]:
            outcomes = yield_elsewhere(outcomes, self.relations, situation[ELSEWHERE])
        return block(outcomes, self.relations) if self.relations.blocked_by else outcomes

    def decide(self, key: tuple[Any, ...]) -> list[Outcome] | None:
        """Return the outcomes after all rules. `key`: as for `contenders`. None: the person may choose between items,
        so the result depends on earlier days (`rules.deciding.choices.Holder`)."""
        settled = self.contenders(key)
        if self.relations.rivals and contested(settled, self.relations):
            return None
        if lost := beaten(settled, self.relations):
            settled = [giving_way(o, "suppressed", lost[o.item]) if o.item in lost else o for o in settled]
        return [held(outcome) for outcome in settled] if key[-1] else settled

    def only(self, items: Collection[str]) -> "Segment":
        """Return a copy of the segment with some items only."""
        cut = copy(self)
        cut.applicable = tuple(a for a in self.applicable if a.item.item in items)
        return cut


def where_of(hukou: Codes | None, residence: Codes | None) -> Where:
    """Return the places whose sources report facts. An unknown place is replaced by the other one, or by the nation."""
    return Where(hukou or residence or (NATION,), residence or hukou or (NATION,))


def held(outcome: Outcome) -> Outcome:
    """Return the outcome during a suspected death: granted money is suspended. A service continues, because its next
    visit is the check."""
    if outcome.kind == "cash" and outcome.state == "granted":
        return msgspec.structs.replace(outcome, state="suspended")
    return outcome
