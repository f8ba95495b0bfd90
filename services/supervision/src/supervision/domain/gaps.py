"""Identify gaps of moves and find their clauses. A gap is months that no area pays after a move, because the lists of
the old and the new area do not meet."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from common.calendar import month_text
from common.codes import divisions
from common.events import MoveGap
from common.events.entitlement import GapReason
from common.message import derived_id

CHECK = "move_gap"


class Gap(NamedTuple):
    """A row of `move_gaps`; months by their first day. See the event type `MoveGap`."""

    alert_id: str
    person_id: str
    item: str
    old: str
    left_division: str
    moved_to: str
    moved_on: date
    first_month: date
    until_month: date | None
    new: str | None
    old_policy: str
    why: GapReason


class Clause(NamedTuple):
    """A row of `clauses`: one version of an item in a list in force, with its source."""

    jurisdiction: str
    item: str
    valid_from: date
    valid_to: date | None
    item_title: str
    title: str
    issuer: str
    issued_on: date
    locator: str
    status: str


Clauses = Mapping[tuple[str, str], Sequence[Clause]]  # by area and item, oldest version first


def subject_of(person_id: str, gap: MoveGap) -> str:
    """Return the subject (id) of a gap. It stays unchanged while only the months or the reason of the gap change."""
    return derived_id(CHECK, person_id, gap.item, gap.old, gap.moved_on.isoformat())


def move_gap_of(gap: Gap) -> MoveGap:
    """Return a stored gap in the form of the event."""
    return MoveGap(
        item=gap.item,
        old=gap.old,
        old_policy=gap.old_policy,
        left=gap.left_division,
        moved_to=gap.moved_to,
        moved_on=gap.moved_on,
        first_month=month_text(gap.first_month),
        until_month=month_text(gap.until_month) if gap.until_month else None,
        new=gap.new,
        why=gap.why,
    )


def areas_after_move(gap: Gap) -> tuple[str, ...]:
    """Return the area whose list decides after the move. If it is unknown: the new home and the areas above it, the
    nearest first."""
    return (gap.new,) if gap.new else (gap.moved_to, *divisions.ancestors(gap.moved_to))


def group_clauses(clauses: Iterable[Clause]) -> dict[tuple[str, str], list[Clause]]:
    found: dict[tuple[str, str], list[Clause]] = {}
    for clause in clauses:
        found.setdefault((clause.jurisdiction, clause.item), []).append(clause)
    return found


def old_clause(gap: Gap, clauses: Clauses) -> Clause | None:
    """Return the clause of the old area that paid until the move; None if its list in force no longer has it."""
    for clause in clauses.get((gap.old, gap.item), ()):
        if gap.old_policy.endswith(f"@{clause.valid_from}"):
            return clause
    return None


def new_clause(gap: Gap, clauses: Clauses) -> Clause | None:
    """Return the clause of the new area for the day of the move, from the lists in force now. None if they do not have
    the item on that day."""
    for area in areas_after_move(gap):
        for clause in clauses.get((area, gap.item), ()):
            if clause.valid_from <= gap.moved_on and (clause.valid_to is None or gap.moved_on < clause.valid_to):
                return clause
    return None
