"""Hold new money under a newer ID number while an identity change waits. This state is called a doubt.

A change waits if its source does not belong to both persons. Ingestion states the doubt in the timeline of the newer
number (kind `identity_change`, standing `waits`). Earlier money continues, so that a source without authority cannot
stop it. If nothing was known about the number before, all its money is held: the older number may already have got it.
The hold ends when the change counts, or is discarded or withdrawn.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from common.calendar import civil_date
from common.events.entitlement import Entitlement
from common.events.facts import Statement

from rules.form.period import is_within

_PAYS = ("granted", "suspended")


class Doubt(NamedTuple):
    """The waiting identity changes of a person. `event_ids`: their statements.

    `since`: the civil day on which the oldest change began to wait; `date.min` if nothing was known before.
    """

    since: date
    event_ids: tuple[str, ...]


def doubt_known_at(statements: Iterable[Statement], known_at: datetime | None = None) -> Doubt | None:
    """Return the doubt as known at an instant (None: now), from a person's own statements; None: no doubt."""
    waiting: list[tuple[datetime, str]] = []
    others: list[datetime] = []
    for s in statements:
        if s.kind != "identity_change" or not s.standing:
            others.append(s.recorded_at)  # nearly all
            continue
        if known_at is not None and s.recorded_at > known_at:
            continue
        if s.standing_at(known_at) == "waits":
            waiting.append((_waits_since(s, known_at), s.event_id))
    if not waiting:
        return None
    waiting.sort()
    began = waiting[0][0]
    unknown_before = all(recorded_at >= began for recorded_at in others)
    since = date.min if unknown_before else civil_date(began)
    return Doubt(since, tuple(event_id for _, event_id in waiting))


def _waits_since(statement: Statement, known_at: datetime | None) -> datetime:
    """Return the instant at which a statement last began to wait."""
    return max(c.at for c in statement.standing if c.as_ == "waits" and (known_at is None or c.at <= known_at))


def held_by_doubt(entitlements: tuple[Entitlement, ...], doubt: Doubt | None) -> tuple[Entitlement, ...]:
    """Return the entitlements. Cash that began on or after the first day of the doubt is suspended.

    `entitlements` must be in the order of item and period. Adjacent intervals of cash count as one, even if amount or
    area differ. They began on the first day of the first interval.
    """
    if doubt is None:
        return entitlements
    found: list[Entitlement] = []
    last: Entitlement | None = None
    began = date.min
    for e in entitlements:
        if e.kind != "cash" or e.state not in _PAYS:
            found.append(e)
            continue
        if last is None or (last.item, last.to) != (e.item, e.from_):
            began = e.from_
        last = e
        found.append(_suspended(e, doubt) if began >= doubt.since else e)
    return tuple(found)


def _suspended(e: Entitlement, doubt: Doubt) -> Entitlement:
    facts = tuple(dict.fromkeys((*e.facts, *doubt.event_ids)))
    return msgspec.structs.replace(e, state="suspended", facts=facts)


def is_held(entitlements: tuple[Entitlement, ...], item: str, on: date, doubt: Doubt | None) -> bool:
    """Whether the doubt holds the money of an item on a day. `entitlements`: as decided without the doubt."""
    if doubt is None:
        return False
    held = held_by_doubt(entitlements, doubt)
    return any(
        h.item == item and h is not e and is_within(on, h.from_, h.to) for e, h in zip(entitlements, held, strict=True)
    )
