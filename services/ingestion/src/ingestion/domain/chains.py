"""Who follows whom: which events of a batch take effect, and which wait."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ingestion.domain.identity import Circles
from ingestion.domain.pushed import Pushed, says_within


class Known(NamedTuple):
    """An event that is stored. `person_id`: the keeper of its chain. `chain` is None while it waits; `household`: one
    that its chain touches."""

    digest: bytes
    kind: str
    person_id: str
    chain: str | None
    household: str | None = None


class Placing(NamedTuple):
    """What becomes of the events of a batch: `chains` by event id for those that take effect, with their `keepers`, the
    persons whom their chains began about; `waiting` by event id with the reason for those that cannot yet."""

    chains: dict[str, str]
    keepers: dict[str, str]
    waiting: dict[str, str]


def place_events(
    events: Sequence[Pushed],
    person_of: Mapping[bytes, str],
    known: Mapping[str, Known],
    circles: Circles,
    forced: Collection[str] = (),
    strange: Collection[str] = (),
) -> Placing:
    """Chains of all events whose predecessor is there or comes with them, however long the line behind it.

    A source that has renumbered somebody goes on with its chains under the new number: an event may follow one about
    another person of the same circle, and stays with that one. Circles grow by what takes effect. An event in `forced`
    takes effect without its predecessor: a human has said so. Its chain is then the one that the missing event would
    begin. One in `strange` registers, outside the areas of its source, somebody who is not known to have ever belonged
    there: it waits until anybody says so, or a human lets it pass. So does a disability certificate that was made out
    for a number of nobody in the person's circle.
    """
    while True:
        before = circles.size
        placing = _place(events, person_of, known, circles, forced, strange)
        if circles.size == before:
            return placing  # else what seemed to be about somebody else may be about the same human


def _place(
    events: Sequence[Pushed],
    person_of: Mapping[bytes, str],
    known: Mapping[str, Known],
    circles: Circles,
    forced: Collection[str],
    strange: Collection[str],
) -> Placing:
    by_id = {e.event_id: e for e in events}
    followers: dict[str, list[Pushed]] = {}
    placing = Placing({}, {}, {})
    ready: list[str] = []
    for event in events:
        whose = person_of[event.person.index]
        before = known.get(event.previous) if event.previous is not None else None
        if event.previous is None and event.event_id in strange and event.event_id not in forced:
            placing.waiting[event.event_id] = "registered_elsewhere"
        elif event.previous is None:
            _take(event, event.event_id, whose, person_of, circles, forced, placing, ready)
        elif event.previous not in by_id and (before is None or before.chain is None) and event.event_id in forced:
            _take(event, event.previous, whose, person_of, circles, forced, placing, ready)
        else:
            placing.waiting[event.event_id] = "predecessor_missing"
            followers.setdefault(event.previous, []).append(event)
            if event.previous not in by_id and before is not None and before.chain is not None:
                _follow(event, before.chain, before.kind, before.person_id, person_of, circles, forced, placing, ready)
    moved_away = [by_id[i] for i, reason in placing.waiting.items() if reason == "registered_elsewhere"]
    while ready:
        leader = by_id[ready.pop()]
        chain, keeper = placing.chains[leader.event_id], placing.keepers[leader.event_id]
        for event in followers.get(leader.event_id, ()):
            _follow(event, chain, leader.kind, keeper, person_of, circles, forced, placing, ready)
        for event in moved_away:
            if (
                event.event_id in placing.waiting
                and person_of[event.person.index] == keeper
                and says_within(leader.value, event.source.areas)
            ):
                _take(event, event.event_id, keeper, person_of, circles, forced, placing, ready)
    return placing


def _follow(
    event: Pushed,
    chain: str,
    kind: str,
    keeper: str,
    person_of: Mapping[bytes, str],
    circles: Circles,
    forced: Collection[str],
    placing: Placing,
    ready: list[str],
) -> None:
    if kind != event.kind or not circles.same(keeper, person_of[event.person.index]):
        placing.waiting[event.event_id] = "chain_mismatch"
        return
    _take(event, chain, keeper, person_of, circles, forced, placing, ready)


def _take(
    event: Pushed,
    chain: str,
    keeper: str,
    person_of: Mapping[bytes, str],
    circles: Circles,
    forced: Collection[str],
    placing: Placing,
    ready: list[str],
) -> None:
    if event.holder is not None and event.event_id not in forced:
        holder = person_of.get(event.holder.index)
        if holder is None or not circles.same(person_of[event.person.index], holder):
            placing.waiting[event.event_id] = "certificate_of_another"
            return
    if event.kind == "identity_change":
        for other in (person_of[m.index] for m in event.members):
            if not circles.unite(keeper, other):
                placing.waiting[event.event_id] = "too_many_identities"
                return
    placing.waiting.pop(event.event_id, None)
    placing.chains[event.event_id], placing.keepers[event.event_id] = chain, keeper
    ready.append(event.event_id)
