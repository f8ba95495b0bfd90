"""Counts the events of sources that do not belong to the person, per source, kind and day.

Above a limit, they become one group, and further deaths of that source raise no suspicion on that day.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal, NamedTuple, Self

from common.calendar import civil_date
from common.codes import divisions
from common.events import ForeignEventsGrouped
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.recording.batch import Work
from ingestion.recording.store import standing as store
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered

_COUNTED: Final = frozenset({"source_not_of_person", "standing_by_silence", "registered_elsewhere"})
_CLAIMED: Final = "claimed:"  # before the kind, in the counts of claimed places


class _Death(NamedTuple):
    person_id: str
    source: str
    event_id: str

    @classmethod
    def of_event(cls, work: Work, event: Pushed) -> Self:
        return cls(work.subject(event), event.source.urn, event.event_id)

    @property
    def claim(self) -> tuple[str, str]:
        """The person and the source that states the death."""
        return self.person_id, self.source


async def count_foreign_events(tx: Tx, work: Work, today: date) -> None:
    """Count the foreign events, member parts and claimed places of the batch.

    Sets `work.over_limit` and `work.quiet`: the deaths that raise no suspicion, because their source is above the limit
    today, or its deaths of this person were refuted before."""
    new, limit = _new_foreign(work), standing_rules().group_events_max
    totals = await store.count_foreign(tx, _counts(work, new), today)
    work.over_limit = {key: total for key, total in totals.items() if total > limit}
    work.quiet = await _quiet_deaths(tx, work, _deaths(work, new))


def _new_foreign(work: Work) -> list[Pushed]:
    """The new events that wait for a reason in _COUNTED: their source does not, or not fully, belong to the person."""
    return [e for e in work.new.values() if work.admission.stuck.get(e.event_id) in _COUNTED]


def _counts(work: Work, new: Sequence[Pushed]) -> Counter[store.SourceKind]:
    """The number of foreign events, member parts and claimed places by source and kind. `new`: from `_new_foreign`."""
    counts = Counter((e.source.urn, str(e.kind)) for e in new)
    parts = {part.id: part for part in work.held_parts}  # several statements may reach one member
    counts.update((part.source, "household") for part in parts.values())
    counts.update((w.source, w.kind) for w in work.withheld if w.reason in _COUNTED)
    counts.update(_claimed_place(e) for e in work.new.values() if work.standing(e) == "claimed")
    return counts


def _claimed_place(event: Pushed) -> store.SourceKind:
    return event.source.urn, f"{_CLAIMED}{event.kind}"


# ── quiet deaths ────────────────────────────────────────────────────────────────────────────────────────────


async def _quiet_deaths(tx: Tx, work: Work, deaths: Sequence[_Death]) -> set[str]:
    """Event ids of those deaths that raise no suspicion."""
    refuted = await store.count_refuted(tx, {death.claim for death in deaths})
    limit = standing_rules().refuted_deaths_max
    quiet = [d for d in deaths if _is_over_limit(work, d) or refuted.get(d.claim, 0) >= limit]
    return {death.event_id for death in quiet}


def _is_over_limit(work: Work, death: _Death) -> bool:
    return (death.source, "death") in work.over_limit


def _deaths(work: Work, new: Sequence[Pushed]) -> list[_Death]:
    """The deaths that begin to wait with this batch: new ones, ones that counted, and ones that were withdrawn."""
    pushed = [_Death.of_event(work, e) for e in (*new, *_revived(work)) if e.kind == "death"]
    return pushed + [_Death(w.person_id, w.source, w.event_id) for w in work.withheld if w.kind == "death"]


def _revived(work: Work) -> list[Pushed]:
    """Events that were withdrawn and wait again."""
    return [e for e in work.events if work.was_withdrawn(e.event_id) and work.is_stuck(e.event_id)]


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────


def has_claimed_groups(work: Work) -> bool:
    """Whether a source has claimed more places of a kind today than the limit."""
    return any(kind.startswith(_CLAIMED) for _, kind in work.over_limit)


async def save_groups(tx: Tx, work: Work, instant: datetime, deadline: datetime) -> None:
    """Open the group of each count above the limit, and move the rows of the day into it."""
    for source, counted in sorted(work.over_limit):
        await _save_group(tx, _group(source, counted, civil_date(instant)), instant, deadline)


async def _save_group(tx: Tx, group: store.NewGroup, instant: datetime, deadline: datetime) -> None:
    if await store.insert_group(tx, group, instant, deadline):
        tx.emit(_grouped(group, instant), division=group.owner)
    await _gather(tx, group)


def _group(source: str, counted: str, day: date) -> store.NewGroup:
    """The group of a count above the limit. `counted`: the key of the count: the kind, with or without _CLAIMED."""
    kind, holds = counted.removeprefix(_CLAIMED), _holds(counted)
    group_id = derived_id("group", source, kind, day.isoformat(), holds)
    return store.NewGroup(group_id, source, kind, day, holds, _owner(source))


def _holds(counted: str) -> Literal["events", "places"]:
    return "places" if counted.startswith(_CLAIMED) else "events"


def _owner(source: str) -> str:
    """The area above the source's own."""
    return divisions.parent(registered()[source].area) or divisions.NATION


def _grouped(group: store.NewGroup, instant: datetime) -> ForeignEventsGrouped:
    return ForeignEventsGrouped(
        group_id=group.group_id,
        source=group.source,
        kind=group.kind,
        day=group.day,
        holds=group.holds,
        owner=group.owner,
        opened_at=instant,
    )


async def _gather(tx: Tx, group: store.NewGroup) -> None:
    """Move the rows of the group's day into it."""
    if group.holds == "places":
        await store.gather_places(tx, group)
    else:
        await store.gather_events(tx, group)
