"""The events of a batch that take effect, and the events that wait for their predecessor."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ingestion.domain.identity import Circles
from ingestion.domain.pushed import Pushed

NO_REASONS: Final[Mapping[str, str]] = {}
WITHDRAWN: Final = "withdrawn"  # the source took the event back before the event counted
_SETTLED: Final = (WITHDRAWN, "predecessor_discarded")


class Known(NamedTuple):
    """A stored event. `person_id`: the keeper of its chain. `chain`: None while the event does not count. `household`:
    a household that its chain touches. `parked`: officers have discarded the event, or its source has withdrawn it."""

    digest: bytes
    kind: str
    person_id: str
    chain: str | None
    household: str | None = None
    parked: bool = False


class Placing(NamedTuple):
    """The result for the events of a batch, each part by event id.

    `chains`: the chain of each event that takes effect. `keepers`: the person with whom that chain began. `waiting`:
    the reason of each event that cannot take effect yet."""

    chains: dict[str, str]
    keepers: dict[str, str]
    waiting: dict[str, str]


def place_events(
    events: Sequence[Pushed],
    person_of: Mapping[bytes, str],
    known: Mapping[str, Known],
    circles: Circles,
    forced: Collection[str] = (),
    stuck: Mapping[str, str] = NO_REASONS,
) -> Placing:
    """Find the chain of every event whose predecessor counts or comes with it, however long the line of predecessors.

    A source that renumbers a person continues the person's chains under the new number. So an event may follow one
    about another person of the same circle; it then belongs to that person. Identity changes that take effect merge
    circles. An event in `forced` takes effect without its predecessor, by a decision of officers. Its chain is the one
    that the missing event would begin. An event in `stuck` waits for the reason given there (`domain.standing`). A
    disability certificate waits if its ID number belongs to nobody in the person's circle.
    """
    while True:
        before = circles.size
        placing = _Placement(events, person_of, known, circles, forced, stuck).run()
        if circles.size == before:
            return placing  # otherwise two persons have become one, and a mismatch may have become a match


class _Placement:
    """One pass over the events of a batch."""

    def __init__(
        self,
        events: Sequence[Pushed],
        person_of: Mapping[bytes, str],
        known: Mapping[str, Known],
        circles: Circles,
        forced: Collection[str],
        stuck: Mapping[str, str],
    ) -> None:
        self._events, self._person_of, self._known = events, person_of, known
        self._circles, self._forced, self._stuck = circles, forced, stuck
        self._by_id = {e.event_id: e for e in events}
        self._followers: dict[str, list[Pushed]] = {}
        self._ready: list[str] = []  # events that take effect, and whose followers are not placed yet
        self._placing = Placing({}, {}, {})

    def run(self) -> Placing:
        for event in self._events:
            self._place(event)
        while self._ready:
            self._place_followers(self._by_id[self._ready.pop()])
        _settle_followers(self._events, self._placing.waiting)
        return self._placing

    def _place(self, event: Pushed) -> None:
        person_id = self._person_of[event.person.index]
        if event.event_id in self._stuck:
            self._placing.waiting[event.event_id] = self._stuck[event.event_id]
            return
        if event.previous is None:
            self._apply(event, event.event_id, person_id)
            return
        before, in_batch = self._known.get(event.previous), event.previous in self._by_id
        if event.event_id in self._forced and _is_not_coming(in_batch, before):
            self._apply(event, event.previous, person_id)
            return
        self._placing.waiting[event.event_id] = _reason_to_wait(event, before, in_batch)
        self._followers.setdefault(event.previous, []).append(event)
        if not in_batch and before is not None and before.chain is not None:
            self._follow(event, before.chain, before.kind, before.person_id)

    def _place_followers(self, leader: Pushed) -> None:
        chain, keeper = self._placing.chains[leader.event_id], self._placing.keepers[leader.event_id]
        for event in self._followers.get(leader.event_id, ()):
            self._follow(event, chain, leader.kind, keeper)

    def _follow(self, event: Pushed, chain: str, kind: str, keeper: str) -> None:
        """Put an event into the chain of its predecessor. `kind`, `keeper`: of that chain."""
        if kind != event.kind or not self._circles.same(keeper, self._person_of[event.person.index]):
            self._placing.waiting[event.event_id] = "chain_mismatch"
            return
        self._apply(event, chain, keeper)

    def _apply(self, event: Pushed, chain: str, keeper: str) -> None:
        """Let an event take effect, unless its certificate or its identity change prevents that."""
        reason = self._obstacle(event, keeper)
        if reason is not None:
            self._placing.waiting[event.event_id] = reason
            return
        self._placing.waiting.pop(event.event_id, None)
        self._placing.chains[event.event_id], self._placing.keepers[event.event_id] = chain, keeper
        self._ready.append(event.event_id)

    def _obstacle(self, event: Pushed, keeper: str) -> str | None:
        """The reason to wait that lies in the event itself. Merges the circles that an identity change names."""
        if event.holder is not None and event.event_id not in self._forced:
            holder = self._person_of.get(event.holder.index)
            if holder is None or not self._circles.same(self._person_of[event.person.index], holder):
                return "certificate_of_another"
        if event.kind == "identity_change":
            for member in event.members:
                if not self._circles.merge(keeper, self._person_of[member.index]):
                    return "too_many_identities"
        return None


def _is_not_coming(in_batch: bool, before: Known | None) -> bool:
    """Whether the predecessor of an event neither counts nor comes with the batch."""
    if before is not None and before.parked:
        return True
    return not in_batch and (before is None or before.chain is None)


def _reason_to_wait(event: Pushed, before: Known | None, in_batch: bool) -> str:
    """The reason of a follower while its predecessor does not count. The annulment of an event that never counted
    has nothing left to do: it is withdrawn."""
    if before is not None and before.parked:
        return _reason_after_settled(event)
    if in_batch or (before is not None and before.chain is None):
        return "predecessor_waits"
    return "predecessor_missing"


def reason_in_chain(reason: str, *, begins: bool) -> str:
    """The reason of a chain for one of its events: the events that follow the first one wait for it."""
    return reason if begins or reason == WITHDRAWN else "predecessor_waits"


def _reason_after_settled(event: Pushed) -> str:
    return WITHDRAWN if event.action == "annulled" else "predecessor_discarded"


def _settle_followers(events: Sequence[Pushed], waiting: dict[str, str]) -> None:
    """Change the reason of all followers of discarded or withdrawn events, however long the line between them."""
    changed = True
    while changed:
        changed = False
        for event in events:
            if waiting.get(event.event_id) != "predecessor_waits":
                continue
            if waiting.get(event.previous or "") in _SETTLED:
                waiting[event.event_id] = _reason_after_settled(event)
                changed = True
