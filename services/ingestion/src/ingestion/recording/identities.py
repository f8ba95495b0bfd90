"""Finds the vouched places of a person's other identities, and the persons to judge again when identities change.

The *mates* of a person are the other persons who are taken for the same human now.
"""

from collections.abc import Iterable, Mapping, Sequence

from ingestion.domain.identity import identity_statements, links_known_at
from ingestion.domain.person import Person
from ingestion.recording.batch import Work


def mates_of(work: Work, person_id: str) -> frozenset[str]:
    """Vouched divisions of the other persons who are taken for the same human now."""
    return _vouched(work.persons[p] for p in ids_of_mates(work, person_id))


def _vouched(persons: Iterable[Person]) -> frozenset[str]:
    return frozenset(division for person in persons for division in person.memory.standing.strong)


def ids_of_mates(work: Work, person_id: str) -> set[str]:
    """The other persons who are taken for the same human now."""
    person = work.persons[person_id]
    survivor = person.merged_into
    ids = {*person.aliases, *(work.persons[survivor].aliases if survivor else ()), survivor or person_id}
    return ids - {person_id}


def all_mates(work: Work) -> dict[str, set[str]]:
    """The mates of every person who has or had other identities."""
    return {p: ids_of_mates(work, p) for p, person in work.persons.items() if person.identities}


# ── without one identity change ─────────────────────────────────────────────────────────────────────────────


def vouched_without(work: Work, person_id: str, chain: str, *, own: bool = True) -> frozenset[str]:
    """Vouched divisions of all who are the same human as this person if the identity change `chain` is ignored.

    `own`: whether the person's own divisions are included."""
    same = _connected(person_id, _pairs_without(work, chain))
    if not own:
        same.discard(person_id)
    return _vouched(work.persons[p] for p in same if p in work.persons)


def _pairs_without(work: Work, chain: str) -> list[set[str]]:
    """The pairs of persons that are linked by other identity changes than `chain`."""
    by_person = {}
    for person in work.persons.values():
        by_person[person.person_id] = [s for s in identity_statements(person.statements) if s.chain != chain]
    return [{link.primary, link.other} for link in links_known_at(by_person)]


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
    waiting = {p for p in _affected(work) if work.persons[p].waiting or p in stuck}
    return waiting | _mates_of_first_places(work) | work.separated


def _affected(work: Work) -> set[str]:
    """Persons for whom the vouched places of other identities have changed."""
    found = {p.person_id for p in work.persons.values() if p.rejoined}
    for person_id, before in work.standing_before.items():
        standing = work.persons[person_id].memory.standing
        if standing.strong != before.strong:
            found |= ids_of_mates(work, person_id) | {own.keeper for own in standing.own}
            found.discard(person_id)
    return found


def _mates_of_first_places(work: Work) -> set[str]:
    """Mates of persons whose first place is known now: their identity changes are tested."""
    found: set[str] = set()
    for person_id, before in work.standing_before.items():
        if before.seed == 0 < work.persons[person_id].memory.standing.seed:
            found |= ids_of_mates(work, person_id)
    return found
