"""Who follows whom: which events of a batch take effect, and which wait."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ingestion.domain.identity import Circles
from ingestion.domain.pushed import Pushed

NOTHING: Final[Mapping[str, str]] = {}
WITHDRAWN: Final = "withdrawn"  # the reason of an event that its own source has taken back before it counted


class Known(NamedTuple):
    """An event that is stored. `person_id`: the keeper of its chain. `chain` is None while it does not count;
    `household`: one that its chain touches; `parked`: officers have discarded it, or its source has withdrawn it."""

    digest: bytes
    kind: str
    person_id: str
    chain: str | None
    household: str | None = None
    parked: bool = False


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
    stuck: Mapping[str, str] = NOTHING,
) -> Placing:
    """Chains of all events whose predecessor is there or comes with them, however long the line behind it.

    A source that has renumbered a person goes on with its chains under the new number: an event may follow one about
    another person of the same circle, and stays with that one. Circles grow by what takes effect. An event in `forced`
    takes effect without its predecessor, by a decision of officers. Its chain is then the one that the missing event
    would begin. An event in `stuck` waits for the reason given there (`domain.standing`). A disability certificate
    waits if it was made out for a number of nobody in the person's circle.
    """
    while True:
        before = circles.size
        placing = _place(events, person_of, known, circles, forced, stuck)
        if circles.size == before:
            return placing  # else what seemed to be about another person may be about the same human


def _place(
    events: Sequence[Pushed],
    person_of: Mapping[bytes, str],
    known: Mapping[str, Known],
    circles: Circles,
    forced: Collection[str],
    stuck: Mapping[str, str],
) -> Placing:
    by_id = {e.event_id: e for e in events}
    followers: dict[str, list[Pushed]] = {}
    placing = Placing({}, {}, {})
    ready: list[str] = []
    for event in events:
        whose = person_of[event.person.index]
        before = known.get(event.previous) if event.previous is not None else None
        if event.event_id in stuck:
            placing.waiting[event.event_id] = stuck[event.event_id]
        elif event.previous is None:
            _take(event, event.event_id, whose, person_of, circles, forced, placing, ready)
        elif event.event_id in forced and _is_not_coming(event.previous in by_id, before):
            _take(event, event.previous, whose, person_of, circles, forced, placing, ready)
        else:
            placing.waiting[event.event_id] = _reason_to_follow_later(event, before, event.previous in by_id)
            followers.setdefault(event.previous, []).append(event)
            if event.previous not in by_id and before is not None and before.chain is not None:
                _follow(event, before.chain, before.kind, before.person_id, person_of, circles, forced, placing, ready)
    while ready:
        leader = by_id[ready.pop()]
        chain, keeper = placing.chains[leader.event_id], placing.keepers[leader.event_id]
        for event in followers.get(leader.event_id, ()):
            _follow(event, chain, leader.kind, keeper, person_of, circles, forced, placing, ready)
    _follow_what_is_settled(events, placing.waiting)
    return placing


def _is_not_coming(comes_along: bool, before: Known | None) -> bool:
    """Whether the predecessor of an event neither counts nor comes with it."""
    return (not comes_along and (before is None or before.chain is None)) or (before is not None and before.parked)


def _follow_what_is_settled(events: Sequence[Pushed], waiting: dict[str, str]) -> None:
    """A follower of a discarded or withdrawn event is a case of its own, however long the line between."""
    settled = (WITHDRAWN, "predecessor_discarded")
    changed = True
    while changed:
        changed = False
        for event in events:
            alone = waiting.get(event.event_id) == "predecessor_waits" and waiting.get(event.previous or "") in settled
            if alone:
                waiting[event.event_id] = WITHDRAWN if event.action == "annulled" else "predecessor_discarded"
                changed = True


def _reason_to_follow_later(event: Pushed, before: Known | None, comes_along: bool) -> str:
    """Why a follower waits as long as its predecessor does not count. An annulment of what never counted is done."""
    if before is not None and before.parked:
        return WITHDRAWN if event.action == "annulled" else "predecessor_discarded"
    if comes_along or (before is not None and before.chain is None):
        return "predecessor_waits"
    return "predecessor_missing"


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
