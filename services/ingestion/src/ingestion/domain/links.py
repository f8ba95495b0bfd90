"""Links between persons that are one human, and the clusters that follow from the links."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from common.events.facts import IdentityChange, Statement
from rules.facts.timeline import FAR_PAST, Fact, facts_known_at

from ingestion.domain.person import statements_of

_MARK: Final = b'"identity_change"'
StatementsByPerson = Mapping[str, Sequence[Statement]]


class Link(NamedTuple):
    """Two persons who are the same human. `begun`: the time of the oldest statement of the chain, and the chain.
    `replaced_on`: the day (ordinal) from which `other` is the number in use, and the time of the statement; None if no
    number was replaced."""

    begun: tuple[datetime, str]
    primary: str
    other: str
    replaced_on: tuple[int, datetime] | None

    @property
    def chain(self) -> str:
        return self.begun[1]


def identity_statements(joined: bytes) -> list[Statement]:
    """The identity changes among the statements of a person. It decodes nothing if there is none."""
    return [s for s in statements_of(joined) if s.kind == "identity_change"] if _MARK in joined else []


def links_known_at(by_person: StatementsByPerson, known_at: datetime | None = None) -> list[Link]:
    """The links that are known at an instant (None: now), the oldest first. `by_person`: identity statements by the
    person they are about."""
    found: list[Link] = []
    for person_id, statements in by_person.items():
        found += _links_of(person_id, statements, known_at)
    return sorted(found, key=lambda link: (link.begun, link.primary, link.other))


def _links_of(person_id: str, statements: Sequence[Statement], known_at: datetime | None) -> list[Link]:
    known = [s for s in statements if known_at is None or s.recorded_at <= known_at]
    by_event = {s.event_id: s for s in known}
    begun = _begun(known)
    found = []
    for fact in facts_known_at(known, known_at):
        stated = by_event[fact.event_id]
        link = _link(person_id, fact, (begun[stated.chain], stated.chain), stated.time)
        if link is not None:
            found.append(link)
    return found


def _begun(statements: Sequence[Statement]) -> dict[str, datetime]:
    """The earliest time (of the source) of each chain."""
    begun: dict[str, datetime] = {}
    for s in statements:
        begun[s.chain] = min(s.time, begun.get(s.chain, s.time))
    return begun


def _link(person_id: str, fact: Fact, begun: tuple[datetime, str], time: datetime) -> Link | None:
    value = fact.value
    assert isinstance(value, IdentityChange)
    if value.same_as == person_id:
        return None  # the same statement under the other number
    if not value.new_number:
        return Link(begun, value.same_as, person_id, None)
    replaced_on = (fact.valid_from or FAR_PAST).toordinal()
    return Link(begun, person_id, value.same_as, (replaced_on, time))


def survivors(links: Sequence[Link]) -> dict[str, str]:
    """The survivor by person, for all linked persons. `links`: the oldest first."""
    clusters = _Clusters()
    for age, link in enumerate(links):
        clusters.join(link.primary, link.other, age)
    return clusters.survivor_of


class _Clusters:
    """Clusters while links are added. An age is the position of a cluster's oldest link."""

    def __init__(self) -> None:
        self.survivor_of: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}  # by survivor
        self._ages: dict[str, int] = {}  # by survivor

    def join(self, primary: str, other: str, age: int) -> None:
        """Join the clusters of two persons. The survivor of the older cluster stays; at equal age the primary's."""
        a, b = self.survivor_of.get(primary, primary), self.survivor_of.get(other, other)
        if a == b:
            return
        stays, goes = (a, b) if self._ages.get(a, age) <= self._ages.get(b, age) else (b, a)
        self._ages.setdefault(stays, age)
        self._absorb(stays, goes)

    def _absorb(self, stays: str, goes: str) -> None:
        members = [*self._members.get(stays, [stays]), *self._members.pop(goes, [goes])]
        self._members[stays] = members
        self.survivor_of.update(dict.fromkeys(members, stays))


def number_in_use(survivor: str, aliases: Sequence[str], links: Sequence[Link]) -> str:
    """The person whose number the human carries now: the newest number that replaced another and was not replaced."""
    cluster = {survivor, *aliases}
    steps = [link for link in links if link.replaced_on is not None and link.primary in cluster]
    last = _without_successor(steps) or steps
    if not last:
        return survivor
    return max(last, key=lambda link: (link.replaced_on, link.begun, link.other)).other


def _without_successor(steps: Sequence[Link]) -> list[Link]:
    """The steps to numbers that were not replaced."""
    replaced = {link.primary for link in steps}
    return [link for link in steps if link.other not in replaced]
