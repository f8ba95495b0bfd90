"""Job: find the people whom new lists or new coverage may touch, and decide them again in bounded steps.

It finds people by their traits (`rules.proof.edits`) and stores them as parts. Every replica takes one part at a time,
so a process that dies leaves its part to the others. An unchanged decision is not written.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from rules.proof.edits import AreaEdit, Edit
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.deciding.decisions import decide_cases, save_decided
from identification.deciding.domain.cases import Case, Decided
from identification.deciding.domain.decision import keeps_decision
from identification.deciding.domain.person import Person
from identification.deciding.store import people as people_store
from identification.deciding.store.outbox import count_waiting
from identification.lists.domain.content import ListSet
from identification.lists.in_force import edit_between, edit_since, share_set_in_force
from identification.lists.store import locks, publications
from identification.redeciding.drift import LeftBand, watch_step
from identification.redeciding.halt import halt_by_band
from identification.redeciding.store import parts as store

log = logging.getLogger(__name__)
LINES_MAX: Final = 1000  # lines of traits
PAUSE_EVERY: Final = 50  # lines, people
PEOPLE_MAX: Final = store.PART_MAX
PEOPLE_MAX_WHEN_BUSY: Final = 50
BUSY_ROWS: Final = 500  # waiting in the outbox


class _Step(NamedTuple):
    """The result of deciding some people again.

    `decided`: all decided people without `moved`. `changed`: those of them with a new decision; their rows are locked.
    `live_ids`: people whom a live change has already decided by the lists in force. `moved`: ids of people with a new
    decision whose rows have changed since they were read; the next step decides them.
    """

    decided: list[Decided]
    changed: list[Decided]
    live_ids: set[str]
    moved: set[str]


async def redecide_people(database: Database, people_max: int = PEOPLE_MAX, lines_max: int = LINES_MAX) -> int:
    """Do one bounded step: find touched people, or decide some of them, or close finished publications.

    Return the number of lines of traits examined or of people handled. While live events wait in the outbox, the job
    takes a small step and returns 0, so that it pauses. So live events come first, and the job still makes progress. A
    step that would leave the band around the list's simulation is not stored; the list is halted instead.
    """
    async with database.reading() as connection:
        if not await publications.any_redecision_open(connection):
            return 0
    try:
        return await _select(database, lines_max) or await _redecide(database, people_max) or await _close(database)
    except LeftBand as left:
        await _halt(database, left)
        return 1


async def _select(database: Database, lines_max: int) -> int:
    """Find more of the people whom the oldest publication may touch; return the number of lines of traits examined."""
    async with database.transaction() as tx:
        selection = await store.next_selection(tx)
        if selection is None:
            return 0
        edit = await edit_between(tx.sql, selection.before, selection.current)
        has_effect = bool(edit.items or edit.areas)
        lines = await store.list_traits_after(tx, selection.after or "", lines_max) if has_effect else []
        seq = selection.current.seq
        people = await store.add_parts(tx, seq, await _touched(edit, lines))
        done_at = clock.now() if len(lines) < lines_max else None
        await store.move_selection(tx, seq, after=lines[-1] if lines else None, touched=people, done_at=done_at)
    if done_at is not None:
        log.info("publication %d changes %s", seq, _edit_text(edit))
    return max(len(lines), 1)


async def _touched(edit: Edit, lines: Sequence[str]) -> list[str]:
    """Return the lines of traits that the edit may touch."""
    touched = []
    for n, line in enumerate(lines):
        if edit.touches(line):
            touched.append(line)
        if n % PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # live changes share this process
    return touched


def _edit_text(edit: Edit) -> str:
    parts = [_area_text(area) for area in edit.areas]
    if edit.kinds:
        parts.append(f"the coverage of {' '.join(sorted(edit.kinds))}")
    return "; ".join(parts) or "nothing"


def _area_text(edit: AreaEdit) -> str:
    return " ".join([edit.area, *edit.items, *(["(rules)"] if edit.rules else [])])


async def _redecide(database: Database, people_max: int) -> int:
    """Decide some people of the oldest part that no other process works on; return their number."""
    async with database.transaction() as tx:
        list_set = await share_set_in_force(tx)
        part = await store.take_part(tx)
        if part is None:
            return 0
        busy = await count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        people_max = min(people_max, PEOPLE_MAX_WHEN_BUSY) if busy else people_max
        taken, left = part.people_ids[:people_max], part.people_ids[people_max:]
        step = await _decide(tx, taken, part.event_id, list_set)
        await watch_step(tx, part.publication, step.decided, step.live_ids, list_set)
        await save_decided(tx, step.changed)
        await store.move_part(
            tx,
            part.part,
            left=[*left, *step.moved],
            people=len(taken) - len(step.moved),
            people_changed=len(step.changed),
        )
    return 0 if busy else len(taken)


async def _decide(tx: Tx, person_ids: Sequence[str], correlation_id: str, list_set: ListSet) -> _Step:
    """Decide people and lock those with a new decision."""
    people = await people_store.load_decided_otherwise(tx, person_ids, list_set.digest)
    cases = [Case(person, correlation_id=correlation_id) for person in people]
    kept, open_ = await _divide(tx, cases, list_set)
    decided = [*(Decided(case, case.person) for case in kept), *await decide_cases(open_, list_set)]
    changed = [d for d in decided if d.event is not None]
    moved = await _lock(tx, [d.case.person for d in changed])
    return _Step(
        [d for d in decided if d.person.person_id not in moved],
        [d for d in changed if d.person.person_id not in moved],
        set(person_ids).difference(person.person_id for person in people),
        moved,
    )


async def _divide(tx: Tx, cases: Sequence[Case], list_set: ListSet) -> tuple[list[Case], list[Case]]:
    """Return the cases that certainly keep their decision, by the edited items alone, and all other cases."""
    digests = {case.person.policy_digest for case in cases}
    edits = {digest: await edit_since(tx.sql, digest, list_set) for digest in digests}
    kept, open_ = list[Case](), list[Case]()
    for n, case in enumerate(cases, 1):
        edit = edits[case.person.policy_digest]
        (kept if edit.is_narrow and keeps_decision(case.person, edit) else open_).append(case)
        if n % PAUSE_EVERY == 0:
            await asyncio.sleep(0)
    return kept, open_


async def _lock(tx: Tx, people: Sequence[Person]) -> set[str]:
    """Lock people; returns the ids of those whose rows changed since they were read."""
    marks = await people_store.lock_marks(tx, [person.person_id for person in people])
    return {person.person_id for person in people if marks.get(person.person_id) != people_store.mark_of(person)}


async def _halt(database: Database, left: LeftBand) -> None:
    """Halt the list that left the band, if it is still in force."""
    async with database.transaction() as tx:
        await locks.lock_lists(tx)
        if (await publications.versions_in_force(tx.sql)).get(left.area) == left.version:
            await halt_by_band(tx, left)


async def _close(database: Database) -> int:
    """Close the publications whose people are all decided; return 0, because nothing is left to do."""
    async with database.transaction() as tx:
        await store.close_done(tx, clock.now())
    return 0
