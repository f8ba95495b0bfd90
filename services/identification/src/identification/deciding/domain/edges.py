"""Compute edges: the starts and ends of entitlements that are emitted as events.

A *spell* is a granted interval: a period in which an item is really given. An interval that is suppressed, waits for a
choice or lacks a fact gives nothing. A suspended interval (by a suspected death or an open identity change) prolongs
a spell that ends on its first day; then no end is emitted. Without such a spell it gives nothing, and a start that was
emitted is ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from common.events import Entitlement, EntitlementEnded, EntitlementStarted
from rules.facts.timeline import FAR_FUTURE

_DAY: Final = timedelta(days=1)


class Spell(NamedTuple):
    """An item given over [`start`, `end`); `end`: FAR_FUTURE if unknown. `facts`: event ids of its facts."""

    entitlement_id: str
    item: str
    jurisdiction: str
    start: date
    end: date
    facts: tuple[str, ...]

    @property
    def given(self) -> tuple[str, str]:
        """Item and area. After a merge, a spell with the same item and area continues this spell."""
        return self.item, self.jurisdiction


class Edge(NamedTuple):
    """A start or an end to emit.

    `on`: the first day with the item (start) or without it (end). `alias`: of a start, the merged
    identity that had the item before; of an end, the identity into which the person was merged.
    """

    started: bool
    on: date
    spell: Spell
    alias: str | None = None


def spells_of(entitlements: Iterable[Entitlement]) -> list[Spell]:
    """Return one spell for each granted interval. `entitlements` are sorted by item and period."""
    spells: list[Spell] = []
    for e in entitlements:
        end = e.to or FAR_FUTURE
        if e.state == "granted":
            spells.append(Spell(e.entitlement_id, e.item, e.jurisdiction, e.from_, end, e.facts))
        elif e.state == "suspended" and spells:
            last = spells[-1]
            if (last.item, last.jurisdiction, last.end) == (e.item, e.jurisdiction, e.from_):
                spells[-1] = last._replace(end=end)
    return spells


def emitted_through(next_edge_on: date | None, today: date) -> date:
    """Return the last day whose edges are already emitted for a person. `next_edge_on`: as stored."""
    return today if next_edge_on is None or next_edge_on > today else next_edge_on - _DAY


def next_edge(spells: Iterable[Spell], after: date) -> date | None:
    """Return the first day after `after` on which a spell starts or ends; None: no such day."""
    days = [day for spell in spells for day in (spell.start, spell.end) if after < day < FAR_FUTURE]
    return min(days, default=None)


def edges_on(spells: Sequence[Spell], day: date) -> list[Edge]:
    """Return the edges of one day, ends before starts."""
    ends = [Edge(False, day, spell) for spell in spells if spell.end == day]
    starts = [Edge(True, day, spell) for spell in spells if spell.start == day]
    return ends + starts


def edges_of_change(before: Sequence[Spell], now: Sequence[Spell], emitted: date, today: date) -> list[Edge]:
    """Return the edges to emit now for a new decision, by day. Those of `before` up to `emitted` (≤ today) are emitted.

    - Start: a spell is in force today, and the receivers do not know it as in force.
    - End: the receivers know a spell as in force, and it has ended by today, or the new decision does not contain it.
      In the second case it ends on the day of its start.
    - Both: a new spell started after `emitted` and has ended by today, because the system was down.
    - None: a new spell started and ended up to `emitted`. It corrects the past only.
    - Later: an edge after today is emitted on its day.
    """
    known = {spell.entitlement_id: spell for spell in before if spell.start <= emitted}
    edges: list[Edge] = []
    for spell in now:
        old = known.pop(spell.entitlement_id, None)
        if spell.start <= today:
            edges += _edges_of_spell(spell, old, emitted, today)
    edges += [Edge(False, spell.start, spell) for spell in known.values() if spell.end > emitted]
    edges.sort(key=lambda edge: edge.on)
    return edges


def _edges_of_spell(spell: Spell, old: Spell | None, emitted: date, today: date) -> list[Edge]:
    """Return the edges to emit for one spell that started by today.

    `old`: the spell with this id as the receivers know it, if its start is emitted.
    """
    has_ended = spell.end <= today
    known_in_force = old is not None and old.end > emitted
    starts = not known_in_force and (not has_ended or (old is None and spell.start > emitted))
    edges = [Edge(True, spell.start, spell)] if starts else []
    if has_ended and (known_in_force or starts):
        edges.append(Edge(False, spell.end, spell))
    return edges


def edges_of_merge(
    edges: Sequence[Edge], joined: Mapping[str, Sequence[Spell]], now: Sequence[Spell], today: date
) -> list[Edge]:
    """Return the edges of a person when other identities have just been merged into it.

    `joined`: by merged identity, the spells in force that were emitted for it. If the person still has the item, the
    start of the person's item names the merged identity as alias. If not, the item of the merged identity ends.
    """
    alias_of = {spell.given: alias for alias, spells in joined.items() for spell in spells}
    in_force = {spell.given for spell in now if spell.start <= today < spell.end}
    found: list[Edge] = []
    for edge in edges:
        goes_on = edge.started and edge.spell.end > today
        found.append(edge._replace(alias=alias_of.get(edge.spell.given)) if goes_on else edge)
    for spells in joined.values():
        found += [Edge(False, today, spell) for spell in spells if spell.given not in in_force]
    return found


def edge_events(person_id: str, edges: Iterable[Edge]) -> list[EntitlementStarted | EntitlementEnded]:
    """Return one event per edge, in the order of the edges."""
    found: list[EntitlementStarted | EntitlementEnded] = []
    for started, on, spell, alias in edges:
        cls: Callable[..., EntitlementStarted | EntitlementEnded]
        cls = EntitlementStarted if started else EntitlementEnded
        found.append(
            cls(
                person_id=person_id,
                entitlement_id=spell.entitlement_id,
                item=spell.item,
                jurisdiction=spell.jurisdiction,
                on=on,
                alias=alias,
            )
        )
    return found
