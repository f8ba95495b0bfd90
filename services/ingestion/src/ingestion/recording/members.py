"""Spreads the statements about a household to its members, and tests whether their sources belong to each member.

The part of a member to whom the source does not belong waits in quarantine.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from common.events.facts import Household, Standing, Statement
from common.message import derived_id
from msgspec.structs import replace
from shell.store.transaction import Tx

from ingestion.domain.household import (
    Copy,
    Entry,
    chain_of_list,
    copies_for,
    household_of,
    recorded_now,
    spread,
)
from ingestion.domain.person import Person, statements_of
from ingestion.domain.places import belongs
from ingestion.domain.pushed import Source
from ingestion.domain.stated_chains import NOT_COUNTED
from ingestion.domain.statements import restate
from ingestion.recording.batch import Work
from ingestion.recording.identities import mates_of
from ingestion.recording.kept_events import load_source_ids
from ingestion.recording.store.quarantine import Part

_WITHHELD: Final = b'"withheld"'


class HouseholdChanges(NamedTuple):
    """The new statements of a batch that may reach members. `lists`: household lists by chain. `incomes`: by chain,
    the person of each low income."""

    lists: dict[str, list[Entry]]
    incomes: dict[str, str]


class Members:
    """Gives the members of households their copies of statements in one batch, or lets their part wait."""

    def __init__(self, work: Work, sources: Mapping[str, Source], instant: datetime) -> None:
        self._work, self._sources, self._instant = work, sources, instant

    def may_receive(self, copy: Copy) -> bool:
        """Whether the source of a copy belongs to its member. If not, the member's part is noted as waiting."""
        if self._belongs(copy.person_id, copy.statement.source, copy.household):
            return True
        self._hold(copy.person_id, copy.statement, copy.household)
        return False

    def give(self, copy: Copy, source_ids: Mapping[str, str]) -> None:
        """Add a copy to the member's statements, or let an equal withheld copy count again."""
        person = self._work.persons[copy.person_id]
        if _WITHHELD in person.statements and self._restore(person, copy.statement):
            return
        person.add(recorded_now(copy, self._instant), source_ids)

    def _restore(self, person: Person, copied: Statement) -> bool:
        """Let the person's copy of a statement count again if it is withheld. False if the person has no copy of it."""
        if not any(_is_same(s, copied) for s in statements_of(person.statements)):
            return False
        restate(person, self._instant, lambda s: "full" if _is_withheld(s) and _is_same(s, copied) else None)
        return True

    def releasable_parts(self) -> Iterator[Part]:
        """Waiting parts of members to whom the source belongs now; each is noted as released."""
        for part in self._work.parts:
            if self._belongs(part.person_id, part.source, part.household):
                self._work.released_parts.append(part)
                yield part

    def withhold_copies(self) -> None:
        """Withhold copies whose source does not belong to the person, for each person who was tested again."""
        for person_id, outcome in self._work.admission.outcomes.items():
            if outcome.retest:
                self._withhold_copies(self._work.persons[person_id])

    def _withhold_copies(self, person: Person) -> None:
        for statement in restate(person, self._instant, lambda s: self._wanted(person, s)):
            household = _household_of_copy(statement)
            assert household is not None
            self._hold(person.person_id, statement, household)

    def _wanted(self, person: Person, statement: Statement) -> Standing | None:
        """The new standing of a statement: `withheld` for a copy whose source does not belong, None for no change."""
        household = _household_of_copy(statement)
        if household is None or _is_withheld(statement):
            return None
        return None if self._belongs(person.person_id, statement.source, household) else "withheld"

    def _belongs(self, person_id: str, urn: str, household: str) -> bool:
        """Whether a source may state a household fact about a person. Without a vouched place, every source may."""
        standing = self._work.persons[person_id].memory.standing
        vouched = standing.vouched | mates_of(self._work, person_id)
        if not vouched or part_id(household, urn, person_id) in standing.exempt:
            return True
        return self._knows(urn, vouched)

    def _knows(self, urn: str, vouched: set[str]) -> bool:
        """Whether a source is registered and belongs by one of these divisions."""
        source = self._sources.get(urn)
        return source is not None and belongs(source, vouched)

    def _hold(self, person_id: str, statement: Statement, household: str) -> None:
        """Note that the part of this member waits."""
        id_ = part_id(household, statement.source, person_id)
        self._work.held_parts.append(Part(id_, household, statement.source, person_id, statement.event_id))


def _is_same(a: Statement, b: Statement) -> bool:
    return (a.event_id, a.chain) == (b.event_id, b.chain)


def _is_withheld(statement: Statement) -> bool:
    return statement.standing_at() == "withheld"


def _household_of_copy(statement: Statement) -> str | None:
    """The household through which a statement reached the person; None if it was made about the person directly."""
    if statement.via is not None:
        return statement.via
    return statement.value.household if isinstance(statement.value, Household) else None


def part_id(household: str, source: str, person_id: str) -> str:
    """The id of the part of a member in quarantine: one per household, source and person."""
    return derived_id("member", household, source, person_id)


# ── spreading ───────────────────────────────────────────────────────────────────────────────────────────────


async def spread_to_members(tx: Tx, work: Work, changes: HouseholdChanges, members: Members) -> None:
    """Give members the new household lists and low incomes. Raises NotLocked."""
    if not any(changes):
        return
    chains = _lists_to_spread(work, changes.lists) | _incomes_to_spread(work, changes.incomes)
    _note_households(work, chains)
    await _give(tx, work, spread(work.states, chains), members)


def _lists_to_spread(work: Work, lists: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
    """The whole chain of each list."""
    return {chain: [*chain_of_list(work.states, chain), *entries] for chain, entries in lists.items()}


def _incomes_to_spread(work: Work, incomes: Mapping[str, str]) -> dict[str, list[Entry]]:
    """The whole chain of each low income that has named a household. `incomes`: the person by chain."""
    chains = {}
    for chain, person_id in incomes.items():
        statements = _counting_income(work, work.persons[person_id], chain)
        if any(household_of(s) for s in statements):
            chains[chain] = [Entry(s, (), person_id) for s in statements]
    return chains


def _note_households(work: Work, chains: Mapping[str, Sequence[Entry]]) -> None:
    """Note for each event a household that its chain touches. A later event of the chain then locks that household."""
    for event in work.events:
        entries = chains.get(work.placing.chains.get(event.event_id, ""), ())
        household = _first_household(entries)
        if household is not None:
            work.household_of_event[event.event_id] = household


def _first_household(entries: Sequence[Entry]) -> str | None:
    named = (household_of(entry.statement) for entry in entries)
    return next((household for household in named if household), None)


def _counting_income(work: Work, person: Person, chain: str) -> list[Statement]:
    """The statements of a low-income status that count with this batch, without their time of waiting."""
    found = []
    for s in statements_of(person.statements):
        if s.chain == chain and s.via is None and _counts(work, s):
            found.append(replace(s, standing=()))
    return found


def _counts(work: Work, statement: Statement) -> bool:
    return statement.standing_at() not in NOT_COUNTED or statement.event_id in work.placing.chains


async def release_parts(tx: Tx, work: Work, members: Members) -> None:
    """Give waiting parts to the members to whom their sources belong now."""
    for part in members.releasable_parts():
        entries = [e for e in work.states[part.household].entries if e.statement.source == part.source]
        await _give(tx, work, copies_for(part.household, entries, part.person_id), members)


async def _give(tx: Tx, work: Work, copies: Sequence[Copy], members: Members) -> None:
    """Give copies to the members to whom the source belongs."""
    given = [copy for copy in copies if members.may_receive(copy)]
    source_ids = work.source_ids | await load_source_ids(tx, _tied(given) - work.source_ids.keys())
    for copy in given:
        members.give(copy, source_ids)


def _tied(copies: Sequence[Copy]) -> set[str]:
    """Event ids of copies whose order depends on the sources' own ids: several have the same chain and time."""
    same_time: dict[tuple[str, datetime], set[str]] = {}
    for copy in copies:
        stated = copy.statement
        same_time.setdefault((stated.chain, stated.time), set()).add(stated.event_id)
    tied = [ids for ids in same_time.values() if len(ids) > 1]
    return set[str]().union(*tied)
