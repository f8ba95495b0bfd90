"""A list has changed, or what is told where: whom that may touch is found and decided again, in bounded steps, behind
what is live.

Affected people are found by traits (`rules.proof.edits`), set by set, and stored as parts. Every replica takes
one part at a time, so a process that dies leaves its part to the others. A decision that stays the same is not written.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from rules.proof.edits import Edit
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.deciding.decisions import Case, Decided, decide_cases, keeps_decision, save_decided
from identification.deciding.domain.decision import Person
from identification.deciding.store import people as people_store
from identification.lists.in_force import Running, edit_between, edit_since, running_for
from identification.lists.store import lists as lists_store
from identification.redeciding import store
from identification.redeciding.drift import LeftBand, watch_step
from identification.redeciding.halt import Reason, halt

log = logging.getLogger(__name__)
LINES_MAX: Final = 1000
PAUSE_EVERY: Final = 50  # lines, people
PEOPLE_MAX: Final = store.PART_MAX
PEOPLE_MAX_WHEN_BUSY: Final = 50
BUSY_ROWS: Final = 500  # waiting in the outbox


async def redecide_people(database: Database, people_max: int = PEOPLE_MAX, lines_max: int = LINES_MAX) -> int:
    """One bounded step; returns how much it looked at.

    While the outbox is full of other news it takes a small step and then its whole pause (0), so that it neither
    stands in the way nor starves. People whom live news have decided by the present lists meanwhile are passed over.
    A step that would leave the band around the list's simulation is not stored: the list is halted instead.
    """
    async with database.reading() as connection:
        if not await lists_store.any_redecision_open(connection):
            return 0
    try:
        return await _select(database, lines_max) or await _redecide(database, people_max) or await _close(database)
    except LeftBand as left:
        await _halt(database, left)
        return 1


async def _select(database: Database, lines_max: int) -> int:
    """Find more of the people whom the oldest new list may touch."""
    async with database.transaction() as tx:
        job = await store.next_selection(tx)
        if job is None:
            return 0
        before, after = (job["seq_before"], job["digest_before"]), (job["seq"], job["running_digest"])
        edit = await edit_between(tx.sql, before, after)
        lines = (
            await store.list_traits_after(tx, job["selected_after"] or "", lines_max)
            if edit.items or edit.areas
            else []
        )
        touched = []
        for n, line in enumerate(lines):
            if edit.touches(line):
                touched.append(line)
            if n % PAUSE_EVERY == 0:
                await asyncio.sleep(0)  # live news share this process
        people = await store.add_parts(tx, job["seq"], touched)
        done_at = clock.now() if len(lines) < lines_max else None
        come = lines[-1] if lines else None
        await store.move_selection(tx, job["seq"], after=come, touched=people, done_at=done_at)
    if done_at is not None:
        log.info("publication %d changes %s", job["seq"], _told(edit))
    return max(len(lines), 1)


def _told(edit: Edit) -> str:
    parts = [f"{e.area} {' '.join([*e.items, *(['(rules)'] if e.rules else [])])}" for e in edit.areas]
    if edit.kinds:
        parts.append(f"what the absence of {' '.join(sorted(edit.kinds))} means")
    return "; ".join(parts) or "nothing that decides"


async def _redecide(database: Database, people_max: int) -> int:
    """Decide some of the people of the oldest part that nobody is at."""
    async with database.transaction() as tx:
        running = await running_for(tx)
        job = await store.take_part(tx)
        if job is None:
            return 0
        busy = await lists_store.count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        people_max = min(people_max, PEOPLE_MAX_WHEN_BUSY) if busy else people_max
        taken, left = job["people_ids"][:people_max], job["people_ids"][people_max:]
        people = await people_store.load_decided_otherwise(tx, taken, running.digest)
        cases = [Case(person, correlation_id=job["event_id"]) for person in people]
        kept, open_ = await _parted(tx, cases, running)
        decided = [*(Decided(case, case.person) for case in kept), *await decide_cases(open_, running)]
        news = [d for d in decided if d.event is not None]
        moved = await _lock(tx, [d.case.person for d in news])
        settled = [d for d in decided if d.person.person_id not in moved]
        live = set(taken).difference(person.person_id for person in people)
        await watch_step(tx, job["publication"], settled, live, running)
        await save_decided(tx, [d for d in news if d.person.person_id not in moved])
        looked_at = len(taken) - len(moved)
        changed = len(news) - len(moved)
        await store.move_part(tx, job["part"], left=[*left, *moved], people=looked_at, people_changed=changed)
    return 0 if busy else len(taken)


async def _parted(tx: Tx, cases: Sequence[Case], running: Running) -> tuple[list[Case], list[Case]]:
    """Those who keep their decision, as a look at the edited items tells, and the others."""
    edits = {d: await edit_since(tx.sql, d, running) for d in {case.person.policy_digest for case in cases}}
    kept, open_ = list[Case](), list[Case]()
    for n, case in enumerate(cases, 1):
        edit = edits[case.person.policy_digest]
        (kept if edit.is_narrow and keeps_decision(case.person, edit) else open_).append(case)
        if n % PAUSE_EVERY == 0:
            await asyncio.sleep(0)
    return kept, open_


async def _lock(tx: Tx, people: Sequence[Person]) -> set[str]:
    """Lock these people; those who are no longer as they were read are for the next step."""
    now = await people_store.lock_marks(tx, [person.person_id for person in people])
    return {person.person_id for person in people if now.get(person.person_id) != people_store.mark_of(person)}


async def _halt(database: Database, left: LeftBand) -> None:
    """Instead of the step that would have left the band, of which nothing is stored."""
    async with database.transaction() as tx:
        await lists_store.lock_lists(tx)
        if (await lists_store.running_versions(tx.sql)).get(left.area) == left.version:
            await halt(tx, left.version, Reason("band", "band", left.text, left.live), clock.now())


async def _close(database: Database) -> int:
    async with database.transaction() as tx:
        await store.close_done(tx, clock.now())
    return 0
