"""Decides which events of a batch take effect, and which wait for another event.

A *chain* is an event and all later events that correct, annul or end it. A *follower* is an event that names an earlier
one, its *predecessor*. The *keeper* of a chain is the person with whom it began.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ingestion.domain.identity import Circles
from ingestion.domain.pushed import Pushed

NO_REASONS: Final[Mapping[str, str]] = {}
WITHDRAWN: Final = "withdrawn"  # the source took the event back before the event counted
_SETTLED: Final = (WITHDRAWN, "predecessor_discarded")


class Known(NamedTuple):
    """A stored event. `person_id`: the keeper of its chain. `chain`: None while the event does not count. `household`:
    a household that its chain names. `parked`: officers have discarded the event, or its source has withdrawn it."""

    digest: bytes
    kind: str
    person_id: str
    chain: str | None
    household: str | None = None
    parked: bool = False


class Placing(NamedTuple):
    """The result for the events of a batch, each part by event id.

    `chains`: the chain of each event that takes effect. `keepers`: the keeper of this chain. `waiting`: the quarantine
    code of each event that does not take effect."""

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
    """Decide for each event whether it takes effect, and in which chain. A follower takes effect if its predecessor
    counts already or takes effect in this batch.

    `person_of`: person ids by blind index. `known`: stored events by id. A source that renumbers a person continues the
    person's chains under the new number. So an event may follow one about another person of the same circle; its keeper
    is then that person. Identity changes that take effect merge circles. An event in `forced` takes effect without its
    predecessor, by a decision of officers. Its chain is the one that the missing event would begin. An event in `stuck`
    waits, and `stuck` has its quarantine code. A disability certificate waits if no person of the circle has its ID
    number, unless its event is in `forced`.
    """
    while True:
        before = circles.size
        placing = _Placement(events, person_of, known, circles, forced, stuck).run()
        if circles.size == before:
            return placing  # otherwise two persons have become one, and a mismatch may have become a match


@dataclass
class _Placement:
    """One pass over the events of a batch. The first fields are the arguments of `place_events`."""

    events: Sequence[Pushed]
    person_of: Mapping[bytes, str]
    known: Mapping[str, Known]
    circles: Circles
    forced: Collection[str]
    stuck: Mapping[str, str]
    by_id: dict[str, Pushed] = field(init=False)
    followers: dict[str, list[Pushed]] = field(default_factory=dict)
    ready: list[str] = field(default_factory=list)  # events that take effect, and whose followers are not placed yet
    placing: Placing = field(default_factory=lambda: Placing({}, {}, {}))

    def __post_init__(self) -> None:
        self.by_id = {e.event_id: e for e in self.events}

    def run(self) -> Placing:
        for event in self.events:
            self._place(event)
        while self.ready:
            self._place_followers(self.by_id[self.ready.pop()])
        _settle_followers(self.events, self.placing.waiting)
        return self.placing

    def _subject(self, event: Pushed) -> str:
        return self.person_of[event.person.index]

    def _wait(self, event: Pushed, reason: str) -> None:
        self.placing.waiting[event.event_id] = reason

    def _place(self, event: Pushed) -> None:
        if event.event_id in self.stuck:
            self._wait(event, self.stuck[event.event_id])
        elif event.previous is None:
            self._apply(event, event.event_id, self._subject(event))
        else:
            self._place_follower(event, event.previous)

    def _place_follower(self, event: Pushed, previous: str) -> None:
        before, in_batch = self.known.get(previous), previous in self.by_id
        if event.event_id in self.forced and _is_not_coming(in_batch, before):
            self._apply(event, previous, self._subject(event))
            return
        self._wait(event, _reason_to_wait(event, before, in_batch))
        self.followers.setdefault(previous, []).append(event)
        if not in_batch and before is not None and before.chain is not None:
            self._follow(event, before.chain, before.kind, before.person_id)

    def _place_followers(self, leader: Pushed) -> None:
        chain, keeper = self.placing.chains[leader.event_id], self.placing.keepers[leader.event_id]
        for event in self.followers.get(leader.event_id, ()):
            self._follow(event, chain, leader.kind, keeper)

    def _follow(self, event: Pushed, chain: str, kind: str, keeper: str) -> None:
        """Put an event into the chain of its predecessor. `kind`, `keeper`: of that chain."""
        if kind == event.kind and self.circles.same(keeper, self._subject(event)):
            self._apply(event, chain, keeper)
        else:
            self._wait(event, "chain_mismatch")

    def _apply(self, event: Pushed, chain: str, keeper: str) -> None:
        """Let an event take effect, unless its certificate or its identity change prevents that."""
        reason = self._obstacle(event, keeper)
        if reason is None:
            self._let_count(event.event_id, chain, keeper)
        else:
            self._wait(event, reason)

    def _let_count(self, event_id: str, chain: str, keeper: str) -> None:
        self.placing.waiting.pop(event_id, None)
        self.placing.chains[event_id], self.placing.keepers[event_id] = chain, keeper
        self.ready.append(event_id)

    def _obstacle(self, event: Pushed, keeper: str) -> str | None:
        """The reason to wait that lies in the event itself. Merges the circles that an identity change names."""
        if self._has_certificate_of_another(event):
            return "certificate_of_another"
        if event.kind == "identity_change" and not self._merge(keeper, event):
            return "too_many_identities"
        return None

    def _has_certificate_of_another(self, event: Pushed) -> bool:
        if event.holder is None or event.event_id in self.forced:
            return False
        holder = self.person_of.get(event.holder.index)
        return holder is None or not self.circles.same(self._subject(event), holder)

    def _merge(self, keeper: str, event: Pushed) -> bool:
        """Merge the circles of the keeper and the persons whom the event names; False if one circle is too large."""
        return all(self.circles.merge(keeper, self.person_of[member.index]) for member in event.members)


def _is_not_coming(in_batch: bool, before: Known | None) -> bool:
    """Whether the predecessor of an event neither counts nor comes with the batch."""
    if before is not None and before.parked:
        return True
    return not in_batch and (before is None or before.chain is None)


def _reason_to_wait(event: Pushed, before: Known | None, in_batch: bool) -> str:
    """The reason of a follower while its predecessor does not count. If the predecessor is parked, an annulment has no
    effect left, and its reason is `withdrawn`."""
    if before is not None and before.parked:
        return _reason_after_settled(event)
    waits = before is not None and before.chain is None
    return "predecessor_waits" if in_batch or waits else "predecessor_missing"


def reason_in_chain(reason: str, *, begins: bool) -> str:
    """The reason with which one event of a waiting chain waits.

    `reason`: the reason of the chain. `begins`: the event is the first one of the chain. Any other event waits for its
    predecessor, unless the source has withdrawn the chain."""
    return reason if begins or reason == WITHDRAWN else "predecessor_waits"


def _reason_after_settled(event: Pushed) -> str:
    return WITHDRAWN if event.action == "annulled" else "predecessor_discarded"


def _settle_followers(events: Sequence[Pushed], waiting: dict[str, str]) -> None:
    """Change the reason of all direct and indirect followers of discarded or withdrawn events."""
    changed = True
    while changed:
        changed = False
        for event in events:
            if _follows_settled(event, waiting):
                waiting[event.event_id] = _reason_after_settled(event)
                changed = True


def _follows_settled(event: Pushed, waiting: Mapping[str, str]) -> bool:
    """Whether an event still waits for a predecessor that is discarded or withdrawn."""
    if waiting.get(event.event_id) != "predecessor_waits":
        return False
    return waiting.get(event.previous or "") in _SETTLED
