"""Enters the waiting events of a batch in quarantine, each with the area whose officers decide it.

The area of the source decides an event that waits for another event or a certificate. If the reason is in
RULE_REASONS, or the source does not belong to the person, the county of the vouched hukou decides, else that of the
residence, else an area above the source. The deciding area is then never an area of the source. The places of all
numbers of the person matter.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from common.codes import divisions
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import belongs, lies_in
from ingestion.domain.problems import QUARANTINE
from ingestion.domain.pushed import Pushed, Source
from ingestion.recording.batch import Withheld, Work
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.foreign_events import save_groups
from ingestion.recording.identities import home_of, ids_in_circles, mates_of
from ingestion.recording.store import quarantine
from ingestion.recording.store.quarantine import Part, Waiting
from ingestion.register.sources import registered

# Reasons about the relation of a source to a person. Other events wait for another event or a certificate.
RULE_REASONS: Final = frozenset(
    {"source_not_of_person", "standing_by_silence", "registered_elsewhere", "place_objected"}
)
_ASKED_BY: Final = "standing"
_PART_REASON: Final = "source_not_of_person"


async def save_waiting(tx: Tx, work: Work, new: Sequence[Pushed], instant: datetime, deadline: datetime) -> None:
    """Enter new waiting events, update the reasons of earlier ones, and ask their sources to correct them."""
    owners = await _owners(tx, work)
    rows = _rows(work, new, owners)
    entered = await _enter(tx, work, rows, instant, deadline)
    work.now_waiting = {row.event_id: row.person_id for row in entered if row.state == "open"}
    await _withhold(tx, work)
    await quarantine.explain_waiting(tx, _reasons(work, owners))
    await _ask_sources(tx, [row for row in rows if row.event_id in work.now_waiting], work, instant)
    await save_groups(tx, work, instant, deadline)


async def _withhold(tx: Tx, work: Work) -> None:
    await quarantine.withhold(tx, [(w.event_id, w.reason == WITHDRAWN) for w in work.withheld])


async def _enter(tx: Tx, work: Work, rows: Sequence[Waiting], instant: datetime, deadline: datetime) -> list[Waiting]:
    """Insert the rows. Returns those that are new or in use again, also rows of withdrawn events.

    If an event follows a waiting one, the decisions of first officers about its person are forgotten. The waiting event
    may be about another identity of the person."""
    ids = await quarantine.insert_quarantine(tx, rows, instant, deadline)
    entered = [row for row in rows if row.event_id in ids]
    joined = {row.person_id for row in entered if row.reason == "predecessor_waits"}
    await quarantine.forget_first_decisions(tx, joined | ids_in_circles(work, joined))
    return entered


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(work: Work, new: Sequence[Pushed], owners: Mapping[str, str]) -> list[Waiting]:
    """`owners`: by event that waits with this batch."""
    rows = [_row_of_new(work, e, owners[e.event_id]) for e in new if e.event_id in work.placing.waiting]
    rows += [_row_of_withheld(w, owners[w.event_id]) for w in work.withheld]
    held = {part.id: part for part in work.held_parts}
    return rows + [_row_of_part(work, part) for part in held.values()]


def _state(reason: str) -> str:
    return "withdrawn" if reason == WITHDRAWN else "open"


def _row_of_new(work: Work, event: Pushed, owner: str) -> Waiting:
    reason = work.placing.waiting[event.event_id]
    return Waiting(
        event.event_id,
        work.subject(event),
        event.source.urn,
        event.kind,
        reason,
        owner,
        waits_for=event.previous,
        state=_state(reason),
    )


def _row_of_withheld(w: Withheld, owner: str) -> Waiting:
    return Waiting(w.event_id, w.person_id, w.source, w.kind, w.reason, owner, chain=w.chain, state=_state(w.reason))


def _row_of_part(work: Work, part: Part) -> Waiting:
    owner = owner_of(work, part.person_id, registered()[part.source], _PART_REASON)
    return Waiting(
        part.id,
        part.person_id,
        part.source,
        "household",
        _PART_REASON,
        owner,
        part_of=part.event_id,
        household=part.household,
    )


def _reasons(work: Work, owners: Mapping[str, str]) -> dict[str, quarantine.Reason]:
    """Reason and owner of each event that waited before and still waits."""
    found = {}
    for event in work.events:
        reason = work.placing.waiting.get(event.event_id, WITHDRAWN)
        if event.event_id in work.waited and reason != WITHDRAWN:
            found[event.event_id] = quarantine.Reason(reason, owners[event.event_id])
    return found


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Case(NamedTuple):
    """An event that waits. `follows`: the event before it, or the first one of its chain."""

    person_id: str
    source: str
    reason: str
    follows: str | None

    @property
    def leader(self) -> str | None:
        """The waiting event that the event follows."""
        return self.follows if self.reason == "predecessor_waits" else None


async def _owners(tx: Tx, work: Work) -> dict[str, str]:
    """The owner of each event that waits with this batch. The area of the source does not decide a follower if it does
    not decide the event for which the follower waits."""
    cases = _cases(work)
    first = {event_id: _first_in_line(case, cases) for event_id, case in cases.items()}
    elsewhere = await quarantine.load_owners(tx, {case.leader for case in first.values() if case.leader is not None})
    owners = {}
    for event_id, case in cases.items():
        owner = _owner_of_case(work, case)
        if owner == registered()[case.source].area:
            owner = elsewhere.get(first[event_id].leader or "") or _owner_of_case(work, first[event_id])
        owners[event_id] = owner
    return owners


def _owner_of_case(work: Work, case: _Case) -> str:
    return owner_of(work, case.person_id, registered()[case.source], case.reason)


def _cases(work: Work) -> dict[str, _Case]:
    waiting = work.placing.waiting
    cases = {}
    for event in work.events:
        if event.event_id in waiting:
            person_id = work.person_in_quarantine(event)
            cases[event.event_id] = _Case(person_id, event.source.urn, waiting[event.event_id], event.previous)
    for w in work.withheld:
        cases[w.event_id] = _Case(w.person_id, w.source, w.reason, w.chain)
    return cases


def _first_in_line(case: _Case, cases: Mapping[str, _Case]) -> _Case:
    """The first event of a line of followers. It may follow one that waits with another person."""
    for _ in cases:  # a line may lead back to itself
        leader = cases.get(case.leader or "")
        if leader is None:
            break
        case = leader
    return case


def owner_of(work: Work, person_id: str, source: Source, reason: str) -> str:
    """The area whose officers decide this event (see the module). An objection is decided by the next area above both
    counties."""
    home = home_of(work, person_id)
    vouched = work.persons[person_id].memory.standing.vouched | mates_of(work, person_id)
    if reason not in RULE_REASONS and (home is None or belongs(source, vouched)):
        return source.area
    if home is not None and reason == "place_objected":
        return _outside(source, _areas_above_both(home, source.area))
    above = divisions.ancestors(source.area)
    return _outside(source, above if home is None else (home, *above))


def _areas_above_both(home: str, area: str) -> list[str]:
    return [above for above in divisions.ancestors(home) if divisions.within(area, above)]


def _outside(source: Source, areas: Sequence[str]) -> str:
    """The first of these areas that does not belong to the source."""
    own = (source.area, *source.areas)
    return next((area for area in areas if not lies_in(area, own)), divisions.NATION)


# ── requests for correction ─────────────────────────────────────────────────────────────────────────────────


async def _ask_sources(tx: Tx, rows: Sequence[Waiting], work: Work, instant: datetime) -> None:
    """Ask the sources to check events that wait for a reason in RULE_REASONS. A source is not asked while its count of
    the day for this kind is above the limit of a group."""
    asked = [_asked(row) for row in rows if _is_for_source(row) and (row.source, row.kind) not in work.over_limit]
    if asked:
        await ask(tx, asked, "standing", _ASKED_BY, instant)


def _is_for_source(row: Waiting) -> bool:
    return row.reason in RULE_REASONS and row.part_of is None


def _asked(row: Waiting) -> Asked:
    return Asked(row.event_id, row.source, row.kind, "waiting", row.reason, "/source", QUARANTINE[row.reason][1])
