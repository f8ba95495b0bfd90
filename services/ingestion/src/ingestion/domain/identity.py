"""Which persons are one human: pure, and the same whatever the order of arrival.

Every number has a person of its own. A *circle* is everybody who was ever said to be the same human, also when it was
said in error: it only grows, and is what one writer locks. A *cluster* is those of a circle who are the same human
after all that is known at an instant. Its *survivor* answers for all of them: the one whom the cluster's oldest
identity statement starts from (the old number that was replaced, or the one that another was recognised as), by the
source's time. So nobody who joins later takes the survivor's place.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec
from common.events.facts import Identity, IdentityChange, Statement
from rules.facts.identity import NOBODY_ELSE
from rules.facts.timeline import FAR_PAST, facts_known_at

from ingestion.domain.person import Person, statements_of

MEMBERS_MAX: Final = 50  # of a circle; nobody has that many numbers
_MARK: Final = b'"identity_change"'
Said = Mapping[str, Sequence[Statement]]


class Link(NamedTuple):
    """Two persons who are the same human. `begun`: when its source first said so, and the chain. `replaced_on`: since
    when `other` is the number in use instead (ordinal of the day); None: just another one."""

    begun: tuple[datetime, str]
    primary: str
    other: str
    replaced_on: tuple[int, datetime] | None


class Circles:
    """Who belongs to which circle while a batch works. Knows only the persons it was given."""

    def __init__(self, persons: Iterable[Person]) -> None:
        self._of: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}  # of circles of more than one
        for person in persons:
            if person.circle is not None:
                self._of[person.person_id] = person.circle
                self.members.setdefault(person.circle, []).append(person.person_id)

    def same(self, a: str, b: str) -> bool:
        return a == b or self._of.get(a, a) == self._of.get(b, b)

    def unite(self, a: str, b: str) -> bool:
        """False where there would be more than MEMBERS_MAX. The circle is named after its smallest member."""
        if self.same(a, b):
            return True
        both = [*self._mates(a), *self._mates(b)]
        if len(both) > MEMBERS_MAX:
            return False
        for before in {self._of.get(p, p) for p in both}:
            self.members.pop(before, None)
        name = min(both)
        self._of.update(dict.fromkeys(both, name))
        self.members[name] = both
        return True

    @property
    def size(self) -> int:
        """Grows with every union."""
        return sum(len(members) - 1 for members in self.members.values())

    def _mates(self, person_id: str) -> list[str]:
        return self.members.get(self._of.get(person_id, person_id), [person_id])


def identity_statements(joined: bytes) -> list[Statement]:
    return [s for s in statements_of(joined) if s.kind == "identity_change"] if _MARK in joined else []


def links_known_at(said: Said, known_at: datetime | None = None) -> list[Link]:
    """The oldest first. `said`: identity statements by the person they are about."""
    found = []
    for person_id, statements in said.items():
        known = [s for s in statements if known_at is None or s.recorded_at <= known_at]
        chains = {s.event_id: s.chain for s in known}
        begun: dict[str, datetime] = {}
        for s in known:
            begun[s.chain] = min(s.time, begun.get(s.chain, s.time))
        times = {s.event_id: s.time for s in known}
        for fact in facts_known_at(known):
            value, chain = fact.value, chains[fact.event_id]
            assert isinstance(value, IdentityChange)
            on = ((fact.valid_from or FAR_PAST).toordinal(), times[fact.event_id])
            if value.same_as == person_id:
                continue  # said under the other number
            ends = (person_id, value.same_as) if value.new_number else (value.same_as, person_id)
            found.append(Link((begun[chain], chain), *ends, on if value.new_number else None))
    return sorted(found, key=lambda link: (link.begun, link.primary, link.other))


def survivors(links: Sequence[Link]) -> dict[str, str]:
    """By person the survivor of the cluster, of everybody who is linked to anybody. `links`: the oldest first."""
    found: dict[str, str] = {}
    clusters: dict[str, list[str]] = {}
    ages: dict[str, int] = {}
    for age, link in enumerate(links):
        a, b = found.get(link.primary, link.primary), found.get(link.other, link.other)
        if a == b:
            continue
        stays, goes = (a, b) if ages.get(a, age) <= ages.get(b, age) else (b, a)
        ages[stays] = ages.get(stays, age)
        ages.pop(goes, None)
        clusters[stays] = [*clusters.get(stays, [stays]), *clusters.pop(goes, [goes])]
        found.update(dict.fromkeys(clusters[stays], stays))
    return found


def histories(said: Said) -> dict[str, tuple[Identity, ...]]:
    """By person who it was taken for, from every instant at which that changed."""
    found: dict[str, list[Identity]] = {}
    for instant in sorted({s.recorded_at for statements in said.values() for s in statements}):
        standing = survivors(links_known_at(said, instant))
        clusters: dict[str, list[str]] = {}
        for person_id, survivor in standing.items():
            clusters.setdefault(survivor, []).append(person_id)
        for person_id in standing.keys() | found.keys():
            survivor = standing.get(person_id, person_id)
            aliases = tuple(sorted(clusters.get(person_id, ())))
            now = Identity(
                recorded_at=instant,
                aliases=tuple(a for a in aliases if a != person_id),
                merged_into=survivor if survivor != person_id else None,
            )
            before = found.setdefault(person_id, [])
            last = before[-1] if before else NOBODY_ELSE
            if (last.aliases, last.merged_into) != (now.aliases, now.merged_into):
                before.append(now)
    return {person_id: tuple(periods) for person_id, periods in found.items() if periods}


def number_in_use(survivor: str, aliases: Sequence[str], links: Sequence[Link]) -> str:
    """Whose number the human carries now: the newest that replaced another and was not replaced itself."""
    cluster = {survivor, *aliases}
    steps = [link for link in links if link.replaced_on is not None and link.primary in cluster]
    replaced = {link.primary for link in steps}
    last = [link for link in steps if link.other not in replaced] or steps
    if not last:
        return survivor
    return max(last, key=lambda link: (link.replaced_on, link.begun, link.other)).other


def settle_circles(persons: Mapping[str, Person], circles: Circles) -> None:
    """Bring everybody whose circle has news up to it: who is who now, and what each has to tell with whom."""
    for circle, ids in circles.members.items():
        members = [persons[person_id] for person_id in sorted(ids)]
        if any(p.causes for p in members):
            _settle(circle, members)


def _settle(circle: str, members: Sequence[Person]) -> None:
    by_id = {p.person_id: p for p in members}
    news = {p.person_id: dict(p.causes) for p in members if p.causes}
    said = {p.person_id: identity_statements(p.statements) for p in members}
    identity_news = [s.event_id for p in members for s in said[p.person_id] if s.event_id in news.get(p.person_id, ())]
    found = histories(said)
    for person in members:
        identities = found.get(person.person_id, ())
        if (person.circle, person.identities) != (circle, identities):
            person.rejoined = True
            if person.identities != identities:
                person.causes.update(dict.fromkeys(identity_news))
            person.circle, person.identities = circle, identities
        person.others = [by_id[a] for a in ever_aliases(identities)]
    for person_id, causes in news.items():
        survivor = by_id[by_id[person_id].merged_into or person_id]
        survivor.causes.update(causes)
        survivor.urgent = survivor.urgent or by_id[person_id].urgent


def ever_aliases(identities: Sequence[Identity]) -> list[str]:
    return sorted({a for i in identities for a in i.aliases})


def statements_of_others(identities: Sequence[Identity], others: Sequence[Person]) -> list[Statement]:
    """What was said of those who count, or once counted, as this person, as far as it was known while they did."""
    found: list[Statement] = []
    for other in others:
        ends = [after.recorded_at for at, after in pairwise(identities) if other.person_id in at.aliases]
        if other.person_id in identities[-1].aliases:
            ends = []
        found += [
            msgspec.structs.replace(s, of=other.person_id)
            for s in statements_of(other.statements)
            if not ends or s.recorded_at < max(ends)
        ]
    return found
