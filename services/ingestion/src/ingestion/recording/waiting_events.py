"""Enters the waiting events of a batch in quarantine, each with the area whose officers decide it.

The area of the source decides an event that waits for another event or a certificate. If the reason is in
RULE_REASONS, or the source does not belong to the person, the county of the vouched hukou decides. The deciding area is
then never an area of the source.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from common.codes import divisions
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import belongs, lies_in
from ingestion.domain.problems import QUARANTINE
from ingestion.domain.pushed import Pushed, Source
from ingestion.recording.batch import Withheld, Work
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.foreign_events import save_groups
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
    rows = _rows(work, new)
    entered = await _enter(tx, rows, instant, deadline)
    work.now_waiting = {row.event_id: row.person_id for row in entered if row.state == "open"}
    await _withhold(tx, work)
    await quarantine.explain_waiting(tx, _reasons(work))
    await _ask_sources(tx, [row for row in rows if row.event_id in work.now_waiting], work, instant)
    await save_groups(tx, work, instant, deadline)


async def _withhold(tx: Tx, work: Work) -> None:
    await quarantine.withhold(tx, [(w.event_id, w.reason == WITHDRAWN) for w in work.withheld])


async def _enter(tx: Tx, rows: Sequence[Waiting], instant: datetime, deadline: datetime) -> list[Waiting]:
    """Insert the rows. Returns those that did not wait before.

    If an event follows a waiting one, the decisions of first officers about its person are forgotten."""
    ids = await quarantine.insert_quarantine(tx, rows, instant, deadline)
    entered = [row for row in rows if row.event_id in ids]
    joined = {row.person_id for row in entered if row.reason == "predecessor_waits"}
    await quarantine.forget_first_decisions(tx, joined)
    return entered


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(work: Work, new: Sequence[Pushed]) -> list[Waiting]:
    rows = _rows_of_new(work, new)
    rows += [_row_of_withheld(work, w) for w in work.withheld]
    held = {part.id: part for part in work.held_parts}
    return rows + [_row_of_part(work, part) for part in held.values()]


def _rows_of_new(work: Work, new: Sequence[Pushed]) -> list[Waiting]:
    waiting = work.placing.waiting
    return [_row_of_new(work, e, waiting[e.event_id]) for e in new if e.event_id in waiting]


def _state(reason: str) -> str:
    return "withdrawn" if reason == WITHDRAWN else "open"


def _row_of_new(work: Work, event: Pushed, reason: str) -> Waiting:
    person_id = work.subject(event)
    return Waiting(
        event.event_id,
        person_id,
        event.source.urn,
        event.kind,
        reason,
        owner_of(work, person_id, event.source, reason),
        waits_for=event.previous,
        state=_state(reason),
    )


def _row_of_withheld(work: Work, w: Withheld) -> Waiting:
    owner = owner_of(work, w.person_id, registered()[w.source], w.reason)
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


def _reasons(work: Work) -> dict[str, quarantine.Reason]:
    """Reason and owner of each event that waited before and still waits."""
    found = {}
    for event in work.events:
        reason = work.placing.waiting.get(event.event_id, WITHDRAWN)
        if event.event_id in work.waited and reason != WITHDRAWN:
            owner = owner_of(work, work.waited[event.event_id].person_id, event.source, reason)
            found[event.event_id] = quarantine.Reason(reason, owner)
    return found


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────


def owner_of(work: Work, person_id: str, source: Source, reason: str) -> str:
    """The area whose officers decide this event (see the module). An objection is decided by the next area above both
    counties."""
    standing = work.persons[person_id].memory.standing
    home = standing.home
    if reason not in RULE_REASONS and (home is None or belongs(source, standing.vouched)):
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
    """Ask the sources to check events that wait for a reason in RULE_REASONS, up to their daily limit."""
    asked = [_asked(row) for row in rows if _is_for_source(row) and (row.source, row.kind) not in work.over_limit]
    if asked:
        await ask(tx, asked, "standing", _ASKED_BY, instant)


def _is_for_source(row: Waiting) -> bool:
    return row.reason in RULE_REASONS and row.part_of is None


def _asked(row: Waiting) -> Asked:
    return Asked(row.event_id, row.source, row.kind, "waiting", row.reason, "/source", QUARANTINE[row.reason][1])
