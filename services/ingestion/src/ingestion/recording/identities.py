"""Finds the vouched places of a person's other identities, and the persons to judge again when identities change.

The *mates* of a person are the other persons who are taken for the same human now.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from common.events.facts import Statement

from ingestion.domain.links import identity_statements, links_known_at
from ingestion.domain.person import Person
from ingestion.domain.statements import counting_since
from ingestion.recording.batch import Work

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def mates_of(work: Work, person_id: str) -> frozenset[str]:
    """The divisions of the person's mates that are vouched. A division that is vouched by silence only is left out."""
    return _vouched(work.persons[p] for p in ids_of_mates(work, person_id))


def _vouched(persons: Iterable[Person]) -> frozenset[str]:
    return frozenset(division for person in persons for division in person.memory.standing.strong)


def ids_of_mates(work: Work, person_id: str) -> set[str]:
    """The other persons who are taken for the same human now."""
    person = work.persons[person_id]
    survivor = person.merged_into
    ids = {*person.aliases, *(work.persons[survivor].aliases if survivor else ()), survivor or person_id}
    return ids - {person_id}


def home_of(work: Work, person_id: str) -> str | None:
    """The county of the vouched hukou, else residence: of this number, else of another number of the same human."""
    survivor = work.persons[person_id].merged_into or person_id
    ids = (person_id, survivor, *sorted(ids_of_mates(work, person_id)))
    homes = (work.persons[p].memory.standing.home for p in ids)
    return next((home for home in homes if home is not None), None)


def ids_in_circles(work: Work, person_ids: Collection[str]) -> set[str]:
    """All persons in the circles of these persons (`domain.identity`). A person without a circle adds nobody."""
    circles = {work.persons[p].circle for p in person_ids} - {None}
    return {p.person_id for p in work.persons.values() if p.circle in circles}


def all_mates(work: Work) -> dict[str, set[str]]:
    """The mates of every person who has or had other identities."""
    return {p: ids_of_mates(work, p) for p, person in work.persons.items() if person.identities}


# ── the links before an identity change ─────────────────────────────────────────────────────────────────────


class Judged(NamedTuple):
    """The person who is being judged. `divisions`: the vouched divisions by this judgement; the person's row still has
    the earlier ones."""

    person_id: str
    divisions: frozenset[str]


def vouched_before(work: Work, judged: Judged, person_id: str, chain: str) -> frozenset[str]:
    """Vouched divisions of all who were the same human as this person before the identity change `chain`.

    If these had no place, the later changes matter, too: they give the first place."""
    circle = _circle_of(work, person_id)
    found = _vouched_with(work, judged, _connected(person_id, _pairs_beside(circle, chain, later=False)))
    return found or _vouched_with(work, judged, _connected(person_id, _pairs_beside(circle, chain, later=True)))


def _vouched_with(work: Work, judged: Judged, person_ids: set[str]) -> frozenset[str]:
    """Vouched divisions of these persons, as far as they are loaded."""
    others = _vouched(work.persons[p] for p in person_ids - {judged.person_id} if p in work.persons)
    return others | judged.divisions if judged.person_id in person_ids else others


def _circle_of(work: Work, person_id: str) -> list[Person]:
    person = work.persons.get(person_id)
    if person is None or person.circle is None:
        return []
    return [p for p in work.persons.values() if p.circle == person.circle]


def _pairs_beside(circle: Sequence[Person], chain: str, *, later: bool) -> list[set[str]]:
    """The pairs of persons that are linked by other changes than `chain`. Without `later`: only by changes that count
    for a longer time. So of two changes that exclude each other, one counts."""
    by_person = {p.person_id: identity_statements(p.statements) for p in circle}
    since = _counting_since(s for statements in by_person.values() for s in statements)
    until = (since.get(chain, _NEVER), chain)
    pairs = []
    for link in links_known_at(by_person):
        if link.chain != chain and (later or (since[link.chain], link.chain) < until):
            pairs.append({link.primary, link.other})
    return pairs


def _counting_since(statements: Iterable[Statement]) -> dict[str, datetime]:
    """The instant from which each chain counts without a break. Chains that do not count are missing."""
    found: dict[str, datetime] = {}
    for statement in statements:
        since = counting_since(statement)
        if since is not None:
            found[statement.chain] = min(since, found.get(statement.chain, since))
    return found


def _connected(person_id: str, pairs: Sequence[set[str]]) -> set[str]:
    """All persons whom a line of pairs connects with this person, itself included."""
    same = {person_id}
    while more := set[str]().union(*(pair for pair in pairs if same & pair)) - same:
        same |= more
    return same


# ── persons to judge again ──────────────────────────────────────────────────────────────────────────────────


def separated_from(work: Work, mates_before: Mapping[str, set[str]]) -> set[str]:
    """Persons who have lost a mate: a source may have belonged to them by that mate."""
    return {p for p, mates in mates_before.items() if mates - ids_of_mates(work, p)}


def persons_to_judge_again(work: Work) -> set[str]:
    """Persons whose waiting events may count now, and persons whose earlier statements must be tested now."""
    stuck = {work.subject(event) for event in work.events if event.event_id in work.admission.stuck}
    affected = _with_other_links(work) | _with_other_places(work)
    return {p for p in affected if p in stuck or _has_to_be_tested(work.persons[p])} | work.separated


def _with_other_links(work: Work) -> set[str]:
    """All persons of the circles in which identity changes began to count, ceased to count, or were corrected."""
    changed = {work.keeper(e) for e in work.placed(work.events) if e.kind == "identity_change"}
    changed |= {w.person_id for w in work.withheld if w.kind == "identity_change"}
    circles = {work.persons[person_id].circle for person_id in changed}
    return {p.person_id for p in work.persons.values() if p.circle is not None and p.circle in circles}


def _with_other_places(work: Work) -> set[str]:
    """Persons for whom the vouched places of other identities have changed."""
    found: set[str] = set()
    for person_id, before in work.standing_before.items():
        standing = work.persons[person_id].memory.standing
        if standing.strong != before.strong:
            others = ids_of_mates(work, person_id) | {own.keeper for own in standing.own}
            found |= others - {person_id}
    return found


def _has_to_be_tested(person: Person) -> bool:
    """Whether places of other identities decide about events or statements of the person: about waiting events, about
    identity changes, and about all statements if the person has no place."""
    if person.waiting or identity_statements(person.statements):
        return True
    return person.memory.standing.seed == 0 and bool(person.statements)
