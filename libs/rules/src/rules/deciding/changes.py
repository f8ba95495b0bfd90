"""Compute the days on which a person's situation changes, for `rules.deciding.decide`.

A slot is the index of one circumstance in a situation (`rules.form.situation`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter, itemgetter
from typing import Any, Final

from common.calendar import birthday
from common.events.ability import Ability
from common.events.facts import Registration

from rules.deciding.areas import NOWHERE, Area
from rules.deciding.lists import Lists
from rules.facts.death import Deceased, Suspected
from rules.facts.timeline import FAR_FUTURE, FAR_PAST, Fact
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.situation import ABILITY, AGE, HUKOU, RESIDENCE, REST

# The state of a person has three slots after the situation: is a death suspected, the place of residence, a choice.
SUSPICION, DIVISION, CHOICE = range(REST.stop, REST.stop + 3)
_YOUNGER: Final = -1  # than any age in a list
# (day, slot, value, event): from the day on, the slot has the value. `event`: the id of the event that gave the value,
# or a tuple of ids if several facts hold.
Change = tuple[date, int, Any, str | tuple[str, ...] | None]


def _hukou(value: Any, lists: Lists) -> Area:
    return lists.area(value.hukou_division or NOWHERE)


def _residence(value: Any, lists: Lists) -> tuple[Area, str, str]:
    """Return the values of RESIDENCE, PLACE and DIVISION, which change together."""
    return lists.area(value.division), value.place, value.division


def _readers() -> dict[str, list[tuple[int, Callable[[Any], Any]]]]:
    """Return by kind of fact its slots, each with the function that reads the value from the fact.

    Circumstances with several values at once (`Circumstance.element`) are left out.
    """
    readers: dict[str, list[tuple[int, Callable[[Any], Any]]]] = {}
    for slot, row in enumerate(CIRCUMSTANCES):
        if row.read is not None and row.element is None:
            readers.setdefault(row.fact.code, []).append((slot, row.read))
    return readers


_PLACES: Final[dict[str, tuple[int, Callable[[Any, Lists], Any]]]] = {
    "registration": (HUKOU, _hukou),
    "residence": (RESIDENCE, _residence),
}
_READERS: Final = _readers()
_SEVERAL: Final[dict[str, tuple[int, Any]]] = {
    row.fact.code: (slot, row.read) for slot, row in enumerate(CIRCUMSTANCES) if row.element
}


def born_of(facts: Sequence[Fact]) -> Fact | None:
    """Return the last registration, or None. A birth date never changes, so the last one counts for the whole life."""
    return next((f for f in reversed(facts) if f.kind == "registration"), None)


def changes_of(
    facts: Sequence[Fact], abilities: Sequence[Ability], lists: Lists, death: Deceased | Suspected | None
) -> list[Change]:
    """Return every change of a person's situation in the order of days.

    If a value of a slot ends on the day on which the next one begins, the end comes first.
    """
    changes = _fact_changes(facts, lists)
    if abilities:
        changes += _ability_changes(abilities)
    changes += _age_changes(born_of(facts), lists.ages)
    if isinstance(death, Suspected):
        changes.append((death.on, SUSPICION, True, death.event_ids[0]))
    changes.sort(key=itemgetter(0))
    return changes


def _fact_changes(facts: Sequence[Fact], lists: Lists) -> list[Change]:
    """Return the changes at which a fact begins or ends."""
    changes: list[Change] = []
    several: dict[str, list[Fact]] = {}
    for fact in facts:
        kind, value, valid_from, valid_to, event_id, *_ = fact
        if kind in _SEVERAL:
            several.setdefault(kind, []).append(fact)
            continue
        if kind in _PLACES:
            slot, read_place = _PLACES[kind]
            changes.append((valid_from or FAR_PAST, slot, read_place(value, lists), event_id))
            if valid_to is not None:
                changes.append((valid_to, slot, None, None))
        for slot, read in _READERS.get(kind, ()):
            changes.append((valid_from or FAR_PAST, slot, read(value), event_id))
            if valid_to is not None:
                changes.append((valid_to, slot, None, None))
    for kind, own in several.items():
        changes += _changes_of_several(kind, own)
    return changes


def _age_changes(born: Fact | None, ages: Iterable[int]) -> Iterator[Change]:
    """Yield a change for each birthday that a list names."""
    if born is not None and isinstance(born.value, Registration):
        birth = born.value.birth_date
        yield FAR_PAST, AGE, _YOUNGER, born.event_id
        for age in ages:
            yield birthday(birth, age), AGE, age, born.event_id


def _changes_of_several(kind: str, facts: Sequence[Fact]) -> Iterator[Change]:
    """Yield the changes of a circumstance whose facts may hold at the same time. A value is a frozenset, or None."""
    slot, read = _SEVERAL[kind]
    starts = {f.valid_from or FAR_PAST for f in facts}
    ends = {f.valid_to for f in facts if f.valid_to is not None}
    for day in sorted(starts | ends):
        holding = [f for f in facts if f.holds_on(day)]
        values = frozenset([read(f.value) for f in holding])
        yield day, slot, values or None, tuple([f.event_id for f in holding]) or None


def _ability_changes(abilities: Iterable[Ability]) -> Iterator[Change]:
    """Yield the beginning and the end of each ability result. A result ends at the latest when the next one begins."""
    ordered = sorted(abilities, key=attrgetter("valid_from", "recorded_at", "assessment_id"))
    nexts = [a.valid_from for a in ordered[1:]] + [FAR_FUTURE]
    for ability, after in zip(ordered, nexts, strict=True):
        end = min(ability.valid_to or FAR_FUTURE, after)
        if ability.valid_from < end:
            yield ability.valid_from, ABILITY, ability.level, ability.assessment_id
            yield end, ABILITY, None, None
