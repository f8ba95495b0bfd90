"""Statements about households, and the copies of them that reach each member. The order of arrival does not matter.

A household keeps every statement that was ever made about it or about its low-income status, whole chains at a time. A
person who becomes known as a member later receives all of them then. A *chain* is a statement and all later statements
that correct, annul or end it. If a correction moves a chain to another household, the first household receives the
statement as `annulled`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from common.events.facts import Household, LowIncome, Statement
from common.message import derived_id
from msgspec.structs import replace


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A statement as its source made it. `members`: person ids of a household list. `person_id`: the person whom a
    low-income status is about directly."""

    statement: Statement
    members: tuple[str, ...] = ()
    person_id: str | None = None


class State(msgspec.Struct, array_like=True):
    """One household. `ever`: ids of all persons who were ever named as members."""

    ever: list[str] = msgspec.field(default_factory=list)
    entries: list[Entry] = msgspec.field(default_factory=list)

    def remove(self, chains: Collection[str]) -> None:
        """Remove the entries of these chains."""
        self.entries = [e for e in self.entries if e.statement.chain not in chains]


class Copy(NamedTuple):
    """A statement that reaches a person through a household."""

    person_id: str
    statement: Statement
    household: str


class NotLocked(Exception):
    """A batch touches households that are not locked yet. The caller locks them and decides again."""

    def __init__(self, households: set[str]) -> None:
        super().__init__("households to lock first")
        self.households = households


def household_of(statement: Statement) -> str | None:
    """The household that a household list or a low-income status names."""
    value = statement.value
    return value.household if isinstance(value, Household | LowIncome) else None


def chain_of_copy(chain: str, household: str) -> str:
    """The chain of a statement's copies in a household. It is one per household: a person may have been a member of
    both households that a chain touched."""
    return derived_id(chain, household)


def chain_of_list(states: Mapping[str, State], chain: str) -> list[Entry]:
    """All entries of a household list's chain. Every household that the chain touched holds all of them."""
    for state in states.values():
        found = [e for e in state.entries if e.statement.chain == chain]
        if found:
            return found
    return []


def spread(states: Mapping[str, State], chains: Mapping[str, Sequence[Entry]]) -> list[Copy]:
    """Add whole chains to every household that they touch; return the copies for the members. Raises NotLocked."""
    touched = _by_household(chains.values())
    missing = touched.keys() - states.keys()
    if missing:
        raise NotLocked(set(missing))
    copies: list[Copy] = []
    for household, entries in touched.items():
        copies += _add_entries(household, states[household], entries)
    return copies


def _by_household(chains: Iterable[Sequence[Entry]]) -> dict[str, list[Entry]]:
    """The entries of all chains that name a household, by household."""
    touched: dict[str, list[Entry]] = {}
    for entries in chains:
        for household in _households_of(entries):
            touched.setdefault(household, []).extend(entries)
    return touched


def _households_of(entries: Sequence[Entry]) -> list[str]:
    named = {household_of(e.statement) for e in entries}
    return sorted(household for household in named if household is not None)


def _add_entries(household: str, state: State, entries: Sequence[Entry]) -> Iterator[Copy]:
    """Add new entries to a household, and yield the copies. First, new members receive all earlier entries; then all
    persons receive the new ones."""
    new = _new_entries(state, entries)
    joined = _new_members(household, state, new)
    for entry in state.entries:
        yield from _copies(household, entry, joined)
    state.ever.extend(joined)
    for entry in new:
        yield from _copies(household, entry, state.ever)
    state.entries.extend(new)


def _new_entries(state: State, entries: Sequence[Entry]) -> list[Entry]:
    present = {e.statement.event_id for e in state.entries}
    return [e for e in entries if e.statement.event_id not in present]


def _new_members(household: str, state: State, entries: Sequence[Entry]) -> list[str]:
    """Persons whom these entries name as members of the household for the first time."""
    ever = set(state.ever)
    named: dict[str, None] = {}
    for entry in entries:
        if household_of(entry.statement) == household:
            named.update(dict.fromkeys(entry.members))
    return [person_id for person_id in named if person_id not in ever]


def _copies(household: str, entry: Entry, persons: Sequence[str]) -> Iterator[Copy]:
    """Yield the copy of a statement for each of `persons`. The person whom a low-income status is about directly gets
    none."""
    copied = _copied(household, entry)
    is_list = entry.person_id is None and copied.value is not None
    for person_id in persons:
        if person_id == entry.person_id:
            continue
        statement = _with_membership(copied, household, person_id in entry.members) if is_list else copied
        yield Copy(person_id, statement, household)


def _copied(household: str, entry: Entry) -> Statement:
    """The statement as it reaches members of the household. It is annulled if its value names another household or
    none."""
    stated = entry.statement
    if stated.value is not None and household_of(stated) != household:
        stated = replace(stated, action="annulled", value=None, valid_from=None, valid_to=None)
    via = household if entry.person_id is not None else None
    return replace(stated, chain=chain_of_copy(stated.chain, household), via=via)


def _with_membership(copied: Statement, household: str, member: bool) -> Statement:
    return replace(copied, value=Household(household=household, member=member))


def copies_for(household: str, entries: Sequence[Entry], person_id: str) -> list[Copy]:
    """All copies of these entries for one person."""
    return [copy for entry in entries for copy in _copies(household, entry, [person_id])]


def recorded_now(copy: Copy, instant: datetime) -> Statement:
    """The copied statement with `instant` as recorded time, because it was not known about this person before."""
    return replace(copy.statement, recorded_at=instant)
