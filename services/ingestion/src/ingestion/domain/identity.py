"""Decides which persons are one human. The result does not depend on the order of arrival.

Every ID number has a person of its own. A *circle* is the set of persons who were ever stated to be the same human,
even in error. It only grows, and one writer locks it as a whole. A *cluster* is the part of a circle that is one human
according to all that is known at an instant. Its *survivor* decides for the whole cluster. The oldest link of the
cluster, by the time of its source, names the survivor. If this link replaces a number, the survivor is the old number.
If it recognises a number as another one, the survivor is that other one. So a person who joins later never becomes the
survivor.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from common.events.facts import Identity, Statement
from msgspec.structs import replace
from rules.facts.identity import NOBODY_ELSE

from ingestion.domain.links import StatementsByPerson, identity_statements, links_known_at, survivors
from ingestion.domain.person import Person, statements_of

MEMBERS_MAX: Final = 50  # of a circle; nobody has that many numbers
Causes = Mapping[str, None]  # event ids, in their order
CausesByPerson = Mapping[str, Causes]


class Circles:
    """The circle of each person of a batch. It knows no other persons."""

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


# ── histories ───────────────────────────────────────────────────────────────────────────────────────────────


def histories(by_person: StatementsByPerson) -> dict[str, tuple[Identity, ...]]:
    """The history of identities by person: one entry for every instant at which they changed, the oldest first.

    `by_person`: identity statements by the person they are about."""
    found: dict[str, list[Identity]] = {}
    for instant in _instants(by_person):
        now = _identities_at(by_person, instant)
        for person_id in now.keys() | found.keys():
            identity = now.get(person_id) or _identity(person_id, person_id, (), instant)
            _append_if_changed(found.setdefault(person_id, []), identity)
    return {person_id: tuple(periods) for person_id, periods in found.items() if periods}


def _instants(by_person: StatementsByPerson) -> list[datetime]:
    """The instants at which a statement was recorded or changed its standing."""
    statements = [s for stated in by_person.values() for s in stated]
    changed = {change.at for s in statements for change in s.standing}
    return sorted(changed | {s.recorded_at for s in statements})


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
