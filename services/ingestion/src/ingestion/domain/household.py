"""What is said of a household, and what of it reaches each member: pure, and the same whatever the order of arrival.

Everything that was ever said about a household or its status is kept with it, whole chains at a time; a person who
becomes known as a member later receives all of it then. A chain that moves to another household by a correction says
`annulled` to the first one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from common.events.facts import Household, LowIncome, Statement
from common.message import derived_id


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A statement as its source made it. `members`: person ids, of a household list; `person_id`: whom a low-income
    status is about directly."""

    said: Statement
    members: tuple[str, ...] = ()
    person_id: str | None = None


class State(msgspec.Struct, array_like=True):
    """One household. `ever`: everybody who was ever named as a member."""

    ever: list[str] = msgspec.field(default_factory=list)
    entries: list[Entry] = msgspec.field(default_factory=list)


class Copy(NamedTuple):
    """A statement that reaches a person through a household."""

    person_id: str
    statement: Statement
    household: str


class NotLocked(Exception):
    """Households that turn out to be touched and must be locked first."""

    def __init__(self, households: set[str]) -> None:
        super().__init__("households to lock first")
        self.households = households


def household_of(said: Statement) -> str | None:
    value = said.value
    return value.household if isinstance(value, Household | LowIncome) else None


def chain_of_list(states: Mapping[str, State], chain: str) -> list[Entry]:
    """All entries of a household list's chain, from any household it touched."""
    for state in states.values():
        found = [e for e in state.entries if e.said.chain == chain]
        if found:
            return found
    return []


def spread(states: Mapping[str, State], chains: Mapping[str, Sequence[Entry]]) -> list[Copy]:
    """Take whole chains into every household they touch and say what follows for whom. Raises NotLocked."""
    touched: dict[str, list[Entry]] = {}
    for entries in chains.values():
        for household in sorted({h for e in entries if (h := household_of(e.said)) is not None}):
            touched.setdefault(household, []).extend(entries)
    missing = set(touched) - set(states)
    if missing:
        raise NotLocked(missing)
    copies: list[Copy] = []
    for household, entries in touched.items():
        copies += _take_in(household, states[household], entries)
    return copies


def _take_in(household: str, state: State, entries: Sequence[Entry]) -> Iterator[Copy]:
    there = {e.said.event_id for e in state.entries}
    fresh = [e for e in entries if e.said.event_id not in there]
    ever = set(state.ever)
    named = dict.fromkeys(p for e in fresh if household_of(e.said) == household for p in e.members)
    joined = [p for p in named if p not in ever]
    for entry in state.entries:
        yield from _copies(household, entry, joined)
    state.ever.extend(joined)
    for entry in fresh:
        yield from _copies(household, entry, state.ever)
    state.entries.extend(fresh)


def _copies(household: str, entry: Entry, persons: Sequence[str]) -> Iterator[Copy]:
    """The statement as each of `persons` hears it. Its chain is one of its own per household: a person may have
    belonged to both households that a chain touched."""
    said = entry.said
    via = household if entry.person_id is not None else None
    chain = derived_id(said.chain, household)
    if said.value is not None and household_of(said) != household:
        said = msgspec.structs.replace(said, action="annulled", value=None, valid_from=None, valid_to=None)
    copied = msgspec.structs.replace(said, chain=chain, via=via)
    for person_id in persons:
        if entry.person_id == person_id:
            continue
        if entry.person_id is None and said.value is not None:
            value = Household(household=household, member=person_id in entry.members)
            yield Copy(person_id, msgspec.structs.replace(copied, value=value), household)
        else:
            yield Copy(person_id, copied, household)


def copies_for(household: str, entries: Sequence[Entry], person_id: str) -> list[Copy]:
    """Everything in these entries that reaches one person."""
    return [copy for entry in entries for copy in _copies(household, entry, [person_id])]


def recorded_now(copy: Copy, instant: datetime) -> Statement:
    """A copy is known of this person only from now on, however long its original was known."""
    return msgspec.structs.replace(copy.statement, recorded_at=instant)
