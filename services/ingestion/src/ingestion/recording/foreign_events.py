"""Counts the events of sources that do not belong to the person, per source, kind and day.

Above a limit, they become one group, and deaths of that source raise no suspicion any more.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from common.calendar import civil_date, start_of_day
from common.codes import divisions
from common.events import ForeignEventsGrouped
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.pushed import Pushed
from ingestion.recording.batch import Work
from ingestion.recording.store import standing as store
from ingestion.register.sources import registered, standing_rules

_COUNTED: Final = frozenset({"source_not_of_person", "standing_by_silence", "registered_elsewhere"})
_CLAIMED: Final = "claimed:"  # before the kind, in the counts of claimed places


class _Death(NamedTuple):
    person_id: str
    source: str
    event_id: str


async def count_foreign_events(tx: Tx, work: Work, today: date) -> set[str]:
    """Count the events of the batch and set `work.over_limit`. Returns the deaths that raise no suspicion: their source
    is above the limit today, or its deaths of this person were refuted before."""
    rules = standing_rules()
    new = [e for e in work.new.values() if work.admission.stuck.get(e.event_id) in _COUNTED]
    totals = await store.count_foreign(tx, _counts(work, new), today)
    work.over_limit = {key: total for key, total in totals.items() if total > rules.group_events_max}
    deaths = _deaths(work, new)
    refuted = await store.count_refuted(tx, {(death.person_id, death.source) for death in deaths})
    quiet = set()
    for death in deaths:
        too_many = (death.source, "death") in work.over_limit
        if too_many or refuted.get((death.person_id, death.source), 0) >= rules.refuted_deaths_max:
            quiet.add(death.event_id)
    return quiet


def _counts(work: Work, new: Sequence[Pushed]) -> Counter[store.SourceKind]:
    """`new`: the events of this batch that wait by the rule."""
    counts = Counter((e.source.urn, str(e.kind)) for e in new)
    counts.update((part.source, "household") for part in work.held_parts)
    counts.update((w.source, w.kind) for w in work.withheld if w.reason in _COUNTED)
    counts.update((e.source.urn, f"{_CLAIMED}{e.kind}") for e in _newly_claimed(work))
    return counts


def _newly_claimed(work: Work) -> list[Pushed]:
    chains, standing = work.placing.chains, work.admission.standing
    return [e for e in work.new.values() if standing.get(chains.get(e.event_id, "")) == "claimed"]


def _deaths(work: Work, new: Sequence[Pushed]) -> list[_Death]:
    """The deaths that begin to wait with this batch: new ones, ones that counted, and ones that were withdrawn."""
    stuck = work.admission.stuck
    revived = [
        e for e in work.events if work.was_withdrawn(e.event_id) and stuck.get(e.event_id, WITHDRAWN) != WITHDRAWN
    ]
    deaths = [_Death(work.subject(e), e.source.urn, e.event_id) for e in (*new, *revived) if e.kind == "death"]
    return deaths + [_Death(w.person_id, w.source, w.event_id) for w in work.withheld if w.kind == "death"]


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────


def has_claimed_groups(work: Work) -> bool:
    """Whether more places than the limit are claimed."""
    return any(kind.startswith(_CLAIMED) for _, kind in work.over_limit)


async def save_groups(tx: Tx, work: Work, instant: datetime, deadline: datetime) -> None:
    """Open the group of each count above the limit, and move the rows of the day into it."""
    for source, counted in sorted(work.over_limit):
        await _save_group(tx, source, counted, instant, deadline)


async def _save_group(tx: Tx, source: str, counted: str, instant: datetime, deadline: datetime) -> None:
    day, kind = civil_date(instant), counted.removeprefix(_CLAIMED)
    holds: Literal["events", "places"] = "places" if counted.startswith(_CLAIMED) else "events"
    group_id = derived_id("group", source, kind, day.isoformat(), holds)
    owner = divisions.parent(registered()[source].area) or divisions.NATION
    if await store.insert_group(tx, store.NewGroup(group_id, source, kind, day, holds, owner), instant, deadline):
        opened = ForeignEventsGrouped(
            group_id=group_id,
            source=source,
            kind=kind,
            day=day,
            holds=holds,
            owner=owner,
            opened_at=instant,
        )
        tx.emit(opened, division=owner)
    gather = store.gather_places if holds == "places" else store.gather_events
    await gather(tx, group_id, source, kind, start_of_day(day), start_of_day(day + timedelta(days=1)))
