"""Every day on which something changes for a person: what `rules.deciding.decide` walks along."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter, itemgetter
from typing import Any

from common.calendar import birthday
from common.events.ability import Ability
from common.events.facts import Registration

from rules.deciding.conditions import (
    ABILITY,
    AGE,
    DISABILITY,
    ELSEWHERE,
    HUKOU,
    LIVING,
    LOW_INCOME,
    MERIT,
    RESIDENCE,
    REST,
    SPECIAL,
    WISHES,
)
from rules.deciding.lists import NOWHERE, Lists
from rules.facts.timeline import FAR_FUTURE, FAR_PAST, Deceased, Fact, Suspected

# Behind the places of a world: is a death suspected, where the person lives, has a choice been made.
SUSPICION, DIVISION, CHOICE = range(REST.stop, REST.stop + 3)
_YOUNGER = -1  # than any age that a list names

# What the lists need of a fact's value, by kind.
_READ: dict[str, tuple[int, Callable[[Any, Lists], Any]]] = {
    "registration": (HUKOU, lambda value, lists: lists.area(value.hukou_division or NOWHERE)),
    "residence": (
        RESIDENCE,
        lambda value, lists: (lists.area(value.division), value.place, value.division),
    ),
    "disability": (DISABILITY, lambda value, lists: (value.class_, value.level)),
    "low_income": (LOW_INCOME, lambda value, lists: (value.category, value.support)),
    "living_situation": (LIVING, lambda value, lists: value.tags),
    "special_family": (SPECIAL, lambda value, lists: value.only_child),
}
# The same of the kinds of which several facts may hold at once.
_READ_SETS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "merit": (MERIT, lambda value: value.merit),
    "benefit_elsewhere": (ELSEWHERE, lambda value: (value.benefit, value.amount_fen_per_month)),
    "application": (WISHES, lambda value: (value.item, value.wish)),
}
# From this day, this place of the world holds this, as said by … (by several where several facts stand there).
Change = tuple[date, int, Any, str | tuple[str, ...] | None]


def born_of(facts: Sequence[Fact]) -> Fact | None:
    """The last registration: a birth date does not change, so what is said last holds for the whole life."""
    return next((f for f in reversed(facts) if f.kind == "registration"), None)


def changes_of(
    facts: Sequence[Fact], abilities: Sequence[Ability], lists: Lists, death: Deceased | Suspected | None
) -> list[Change]:
    """Every day on which the world changes, in order; on one day an end stands before a beginning."""
    changes: list[Change] = []
    sets: set[int] = set()
    born = born_of(facts)
    for kind, value, valid_from, valid_to, event_id, *_ in facts:
        if kind in _READ:
            slot, read = _READ[kind]
            changes.append((valid_from or FAR_PAST, slot, read(value, lists), event_id))
            if valid_to is not None:
                changes.append((valid_to, slot, None, None))
        elif kind in _READ_SETS:
            sets.add(_READ_SETS[kind][0])
    for slot in sets:
        changes += _set_changes(facts, slot)
    if abilities:
        changes += _ability_changes(abilities)
    if born is not None and isinstance(born.value, Registration):
        birth, event_id = born.value.birth_date, born.event_id
        changes.append((FAR_PAST, AGE, _YOUNGER, event_id))
        changes += [(birthday(birth, age), AGE, age, event_id) for age in lists.ages]
    if isinstance(death, Suspected):
        changes.append((death.on, SUSPICION, True, death.event_ids[0]))
    changes.sort(key=itemgetter(0))
    return changes


def _set_changes(facts: Sequence[Fact], slot: int) -> Iterator[Change]:
    """Every day on which other facts stand in a place that holds several."""
    read = {kind: of for kind, (at, of) in _READ_SETS.items() if at == slot}
    own = [f for f in facts if f.kind in read]
    starts = {f.valid_from or FAR_PAST for f in own}
    for day in sorted(starts | {f.valid_to for f in own if f.valid_to is not None}):
        holding = [f for f in own if f.holds_on(day)]
        known = frozenset(read[f.kind](f.value) for f in holding)
        yield day, slot, known or None, tuple(f.event_id for f in holding) or None


def _ability_changes(abilities: Iterable[Ability]) -> Iterator[Change]:
    """The result that began last is in force; it closes the one before."""
    ordered = sorted(abilities, key=attrgetter("valid_from", "recorded_at", "assessment_id"))
    nexts = [a.valid_from for a in ordered[1:]] + [FAR_FUTURE]
    for ability, after in zip(ordered, nexts, strict=True):
        end = min(ability.valid_to or FAR_FUTURE, after)
        if ability.valid_from < end:
            yield ability.valid_from, ABILITY, ability.level, ability.assessment_id
            yield end, ABILITY, None, None
