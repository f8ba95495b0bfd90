"""Decides which persons are one human. The result does not depend on the order of arrival.

Every ID number has a person of its own. A *circle* is the set of persons who were ever stated to be the same human,
even in error. It only grows, and one writer locks it as a whole. A *cluster* is the part of a circle that is one human
according to all that is known at an instant. Its *survivor* answers for the whole cluster. The survivor is the person
with whom the cluster's oldest identity statement begins, by the time of its source: the old number that was replaced,
or the number as which another one was recognised. So a person who joins later never becomes the survivor.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from common.events.facts import Identity, IdentityChange, Statement
from msgspec.structs import replace
from rules.facts.identity import NOBODY_ELSE
from rules.facts.timeline import FAR_PAST, Fact, facts_known_at

from ingestion.domain.person import Person, statements_of

MEMBERS_MAX: Final = 50  # of a circle; nobody has that many numbers
_MARK: Final = b'"identity_change"'
StatementsByPerson = Mapping[str, Sequence[Statement]]
Causes = Mapping[str, None]  # event ids, in their order
CausesByPerson = Mapping[str, Causes]


class Link(NamedTuple):
    """Two persons who are the same human. `begun`: the time of the oldest statement of the chain, and the chain.
    `replaced_on`: the day (ordinal) from which `other` is the number in use, and the time of the statement; None if no
    number was replaced."""

    begun: tuple[datetime, str]
    primary: str
    other: str
    replaced_on: tuple[int, datetime] | None


class Circles:
    """The circle of each person while a batch works. It knows only the persons that it was given."""

    def __init__(self, persons: Iterable[Person]) -> None:
        self._circle_of: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}  # of circles of more than one
        for person in persons:
            if person.circle is not None:
                self._circle_of[person.person_id] = person.circle
                self.members.setdefault(person.circle, []).append(person.person_id)

    def same(self, a: str, b: str) -> bool:
        return a == b or self._name(a) == self._name(b)

    def merge(self, a: str, b: str) -> bool:
        """Merge the circles of two persons; the smallest member names the new one. False: it would have more than
        MEMBERS_MAX members, and nothing is merged."""
        if self.same(a, b):
            return True
        merged = [*self._mates(a), *self._mates(b)]
        if len(merged) > MEMBERS_MAX:
            return False
        for old in (a, b):
            self.members.pop(self._name(old), None)
        self._add(merged)
        return True

    def _add(self, members: list[str]) -> None:
        name = min(members)
        self._circle_of.update(dict.fromkeys(members, name))
        self.members[name] = members

    @property
    def size(self) -> int:
        """A number that grows with every merge."""
        return sum(len(members) - 1 for members in self.members.values())

    def _name(self, person_id: str) -> str:
        return self._circle_of.get(person_id, person_id)

    def _mates(self, person_id: str) -> list[str]:
        return self.members.get(self._name(person_id), [person_id])


# ── links and clusters ──────────────────────────────────────────────────────────────────────────────────────


def identity_statements(joined: bytes) -> list[Statement]:
    """The identity changes among the statements of a person. It decodes nothing if there is none."""
    return [s for s in statements_of(joined) if s.kind == "identity_change"] if _MARK in joined else []


def links_known_at(by_person: StatementsByPerson, known_at: datetime | None = None) -> list[Link]:
    """The links that are known at an instant (None: now), the oldest first. `by_person`: identity statements by the
    person they are about."""
    found: list[Link] = []
    for person_id, statements in by_person.items():
        known = [s for s in statements if known_at is None or s.recorded_at <= known_at]
        found += _links_of(person_id, known)
    return sorted(found, key=lambda link: (link.begun, link.primary, link.other))


def _links_of(person_id: str, statements: Sequence[Statement]) -> list[Link]:
    by_event = {s.event_id: s for s in statements}
    begun = _begun(statements)
    found = []
    for fact in facts_known_at(statements):
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


# ── histories ───────────────────────────────────────────────────────────────────────────────────────────────


def histories(by_person: StatementsByPerson) -> dict[str, tuple[Identity, ...]]:
    """The history of identities by person: one entry for every instant at which they changed, the oldest first.

    `by_person`: identity statements by the person they are about."""
    found: dict[str, list[Identity]] = {}
    for instant in sorted({s.recorded_at for statements in by_person.values() for s in statements}):
        now = _identities_at(by_person, instant)
        for person_id in now.keys() | found.keys():
            identity = now.get(person_id) or _identity(person_id, person_id, (), instant)
            _append_if_changed(found.setdefault(person_id, []), identity)
    return {person_id: tuple(periods) for person_id, periods in found.items() if periods}


def _identities_at(by_person: StatementsByPerson, instant: datetime) -> dict[str, Identity]:
    """The identities of all linked persons at an instant."""
    survivor_of = survivors(links_known_at(by_person, instant))
    clusters: dict[str, list[str]] = {}
    for person_id, survivor in survivor_of.items():
        clusters.setdefault(survivor, []).append(person_id)
    return {p: _identity(p, survivor, clusters.get(p, ()), instant) for p, survivor in survivor_of.items()}


def _identity(person_id: str, survivor: str, cluster: Sequence[str], instant: datetime) -> Identity:
    """The identity of a person from `instant` on. `cluster`: the persons for whom this one answers, itself included;
    empty if another person is the survivor."""
    aliases = tuple(sorted(a for a in cluster if a != person_id))
    return Identity(recorded_at=instant, aliases=aliases, merged_into=survivor if survivor != person_id else None)


def _append_if_changed(periods: list[Identity], now: Identity) -> None:
    last = periods[-1] if periods else NOBODY_ELSE
    if last.aliases != now.aliases or last.merged_into != now.merged_into:
        periods.append(now)


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


# ── persons of a batch ──────────────────────────────────────────────────────────────────────────────────────


def settle_circles(persons: Mapping[str, Person], circles: Circles) -> None:
    """For each circle with a changed person, bring circle, identities and causes of all its members up to date."""
    for circle, ids in circles.members.items():
        members = [persons[person_id] for person_id in sorted(ids)]
        if any(p.causes for p in members):
            _settle(circle, members)


def _settle(circle: str, members: Sequence[Person]) -> None:
    """Update the identities of a circle's members, and note the causes of each change with the survivor, too."""
    by_id = {p.person_id: p for p in members}
    changed = {p.person_id: dict(p.causes) for p in members if p.causes}
    _settle_identities(circle, by_id, changed)
    for person_id, causes in changed.items():
        _pass_on(by_id[person_id], causes, by_id)


def _settle_identities(circle: str, by_id: Mapping[str, Person], changed: CausesByPerson) -> None:
    by_person = {person_id: identity_statements(p.statements) for person_id, p in by_id.items()}
    new_changes = _new_identity_changes(by_person, changed)
    found = histories(by_person)
    for person_id, person in by_id.items():
        _set_identities(person, circle, found.get(person_id, ()), new_changes)
        person.others = [by_id[a] for a in ever_aliases(person.identities)]


def _pass_on(person: Person, causes: Causes, by_id: Mapping[str, Person]) -> None:
    """Note the causes of a person's change with the survivor, too."""
    survivor = by_id[person.merged_into or person.person_id]
    survivor.causes.update(causes)
    survivor.urgent = survivor.urgent or person.urgent


def _new_identity_changes(by_person: StatementsByPerson, changed: CausesByPerson) -> Causes:
    """Event ids of the identity changes among the causes of this batch."""
    found: dict[str, None] = {}
    for person_id, statements in by_person.items():
        causes = changed.get(person_id, {})
        found.update(dict.fromkeys(s.event_id for s in statements if s.event_id in causes))
    return found


def _set_identities(person: Person, circle: str, identities: tuple[Identity, ...], new_changes: Causes) -> None:
    if person.circle == circle and person.identities == identities:
        return
    if person.identities != identities:
        person.causes.update(new_changes)
    person.circle, person.identities, person.rejoined = circle, identities, True


def ever_aliases(identities: Sequence[Identity]) -> list[str]:
    """The ids of all persons who were ever aliases of this one, sorted."""
    return sorted({a for i in identities for a in i.aliases})


def statements_of_others(identities: Sequence[Identity], others: Sequence[Person]) -> list[Statement]:
    """The statements about `others`, who are all persons of `ever_aliases`. For a person that was split off, only the
    statements that were recorded before the split are included."""
    found: list[Statement] = []
    for other in others:
        until = _alias_until(identities, other.person_id)
        stated = statements_of(other.statements)
        found += [replace(s, of=other.person_id) for s in stated if until is None or s.recorded_at < until]
    return found


def _alias_until(identities: Sequence[Identity], person_id: str) -> datetime | None:
    """The last instant at which a person ceased to be an alias; None while the person is one."""
    if person_id in identities[-1].aliases:
        return None
    ends = [after.recorded_at for at, after in pairwise(identities) if person_id in at.aliases]
    return max(ends, default=None)
