"""Other identities of a person: their vouched places, and the persons to judge again when identities change."""

from collections.abc import Mapping

from ingestion.domain.identity import identity_statements, links_known_at
from ingestion.domain.person import Person
from ingestion.recording.batch import Work


def mates_of(work: Work, person: Person) -> frozenset[str]:
    """Vouched divisions of the other persons who are taken for the same human now."""
    ids = ids_of_mates(work, person)
    return frozenset(division for i in ids for division in work.persons[i].memory.standing.strong)


def ids_of_mates(work: Work, person: Person) -> set[str]:
    """The other persons who are taken for the same human now."""
    if not person.identities:
        return set()
    now = person.identities[-1]
    ids = set(now.aliases)
    if now.merged_into:
        ids.add(now.merged_into)
        ids.update(work.persons[now.merged_into].identities[-1].aliases)
    return ids - {person.person_id}


def all_mates(work: Work) -> dict[str, set[str]]:
    """The mates of every person who has or had other identities."""
    return {p.person_id: ids_of_mates(work, p) for p in work.persons.values() if p.identities}


def vouched_without(work: Work, person_id: str, chain: str, *, own: bool = True) -> frozenset[str]:
    """Vouched divisions of all who are the same human as this person if the identity change `chain` is ignored.

    `own`: whether the person's own divisions are included."""
    by_person = {}
    for person in work.persons.values():
        by_person[person.person_id] = [s for s in identity_statements(person.statements) if s.chain != chain]
    pairs = [{link.primary, link.other} for link in links_known_at(by_person)]
    same = {person_id}
    while more := {p for pair in pairs if same & pair for p in pair} - same:
        same |= more
    if not own:
        same.discard(person_id)
    found = [work.persons[p].memory.standing.strong for p in same if p in work.persons]
    return frozenset(division for strong in found for division in strong)


def separated_from(work: Work, mates_before: Mapping[str, set[str]]) -> set[str]:
    """Persons who have lost a mate: a source may have belonged to them by that mate."""
    return {p for p, mates in mates_before.items() if mates - ids_of_mates(work, work.persons[p])}


def persons_to_judge_again(work: Work) -> set[str]:
    """Persons whose waiting events may count now, and persons whose earlier statements must be tested now."""
    affected = _affected(work)
    waiting = {p for p in affected if work.persons[p].waiting}
    for event in work.events:
        if event.event_id in work.admission.stuck and work.subject(event) in affected:
            waiting.add(work.subject(event))
    return waiting | _mates_of_first_places(work) | work.separated


def _affected(work: Work) -> set[str]:
    """Persons for whom the vouched places of other identities have changed."""
    found = {p.person_id for p in work.persons.values() if p.rejoined}
    for person_id, before in work.standing_before.items():
        person = work.persons[person_id]
        if person.memory.standing.strong != before.strong:
            found |= ids_of_mates(work, person) | {o.keeper for o in person.memory.standing.own}
            found.discard(person_id)
    return found


def _mates_of_first_places(work: Work) -> set[str]:
    """Mates of persons whose first place is known now: their identity changes are tested."""
    found: set[str] = set()
    for person_id, before in work.standing_before.items():
        person = work.persons[person_id]
        if before.seed == 0 < person.memory.standing.seed:
            found |= ids_of_mates(work, person)
    return found
