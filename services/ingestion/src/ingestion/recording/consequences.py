"""The consequences of judging: standings of statements, parts of household members, names, own statements.

Nothing here decides; `domain.standing` has. Everything is recorded at the instant of the batch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from common.events.facts import BankAccount, Household, Statement
from common.message import derived_id

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.household import Copy, NotLocked, household_of, recorded_now
from ingestion.domain.identity import identity_statements, links_known_at
from ingestion.domain.person import Person, put_back, remember_place, statements_of
from ingestion.domain.places import belongs
from ingestion.domain.pushed import Source
from ingestion.domain.standing import NOT_COUNTED, PLACE_KINDS, Outcome
from ingestion.domain.statements import standing_of
from ingestion.recording.batch import Changed, Part, Withheld, Work

_WITHHELD = b'"withheld"'
RANK_OF_OTHERS = 9  # of a suspicion by a source that has no rank for deaths any more


# ── how far statements count ────────────────────────────────────────────────────────────────────────────────


def change_standing(work: Work, instant: datetime) -> None:
    """Bring the statements of everybody who was judged to what the verdicts say. Raises NotLocked."""
    stopped: dict[str, set[str]] = {}
    for person_id, outcome in work.admission.outcomes.items():
        for household, chain in _change_standing(work, work.persons[person_id], outcome, instant):
            stopped.setdefault(household, set()).add(chain)
    _take_back(work, stopped, instant)


def _change_standing(work: Work, person: Person, outcome: Outcome, instant: datetime) -> list[tuple[str, str]]:
    """Returns household and chain of each low-income status that counts no longer."""
    stopped = set[str]()
    own = {o.chain for o in outcome.stands.own}
    statements = list(statements_of(person.statements))
    moved = False
    for at, said in enumerate(statements):
        verdict = outcome.verdicts.get(said.chain)
        if verdict is None or said.chain in own or said.via is not None or said.kind == "household":
            continue
        before = said.standing_at()
        discarded = before in NOT_COUNTED and said.event_id not in work.waited
        if before == verdict.as_ or discarded:
            continue
        statements[at] = standing_of(said, instant, verdict.as_)
        person.causes[said.event_id] = None
        person.urgent = person.urgent or said.kind == "death"
        if said.kind == "registration":
            work.renamed.add(person.person_id)
        moved = moved or said.kind in PLACE_KINDS
        if said.kind == "low_income" and verdict.as_ in NOT_COUNTED:
            stopped.add(said.chain)
        if verdict.reason is not None and before != "withheld":
            root = said.event_id == said.chain or verdict.reason == WITHDRAWN
            reason = verdict.reason if root else "predecessor_waits"
            work.withheld.append(Withheld(said.event_id, person.person_id, said.source, said.kind, reason, said.chain))
    person.statements = put_back(statements)
    if moved:
        _find_division(person, statements)
    return [(h, s.chain) for s in statements if s.chain in stopped and (h := household_of(s)) is not None]


def _take_back(work: Work, stopped: Mapping[str, set[str]], instant: datetime) -> None:
    """A low-income status that waits reaches no member of its household, neither present nor future. `stopped`: chains
    by household. Once the status counts again, it is spread anew. Raises NotLocked."""
    if missing := stopped.keys() - work.states.keys():
        raise NotLocked(missing)
    for household, chains in stopped.items():
        state = work.states[household]
        state.entries = [e for e in state.entries if e.said.chain not in chains]
        copies = {derived_id(chain, household) for chain in chains}
        for person_id in state.ever:
            _withhold(work.persons[person_id], copies, instant)


def _withhold(person: Person, chains: Collection[str], instant: datetime) -> None:
    statements = list(statements_of(person.statements))
    for at, said in enumerate(statements):
        if said.chain in chains and said.standing_at() != "withheld":
            statements[at] = standing_of(said, instant, "withheld")
            person.causes[said.event_id] = None
    person.statements = put_back(statements)


def _find_division(person: Person, statements: Sequence[Statement]) -> None:
    """The newest place of the person that is vouched, from all that counts."""
    person.division, person.memory.division_rank, person.memory.division_at = None, 0, 0.0
    for said in statements:
        if said.kind in PLACE_KINDS and said.standing_at() == "full":
            remember_place(person, said)


def account_changed(person: Person, statement: Statement) -> list[Changed]:
    """Whether a statement names another bank account than the one stated last."""
    value = statement.value
    if not isinstance(value, BankAccount) or b'"bank_account"' not in person.statements:
        return []
    known = [
        s
        for s in statements_of(person.statements)
        if isinstance(s.value, BankAccount) and s.value.account is not None and s.standing_at() == "full"
    ]
    last = max(known, key=lambda s: s.recorded_at, default=None)
    assert last is None or isinstance(last.value, BankAccount)
    if last is None or last.value.account == value.account:  # type: ignore[union-attr]
        return []
    return [Changed(statement, person.person_id, last.event_id)]


# ── members of households ───────────────────────────────────────────────────────────────────────────────────


class Reach:
    """Which member of a household hears what its source states."""

    def __init__(self, work: Work, sources: Mapping[str, Source], instant: datetime) -> None:
        self._work, self._sources, self._instant = work, sources, instant

    def may(self, copy: Copy) -> bool:
        """Whether a copy reaches its member; otherwise the member's part is noted as waiting."""
        if self._belongs(copy.person_id, copy.statement.source, copy.household):
            return True
        self._hold(copy.person_id, copy.statement, copy.household)
        return False

    def give(self, copy: Copy, source_ids: Mapping[str, str]) -> None:
        person = self._work.persons[copy.person_id]
        if _WITHHELD in person.statements and self._restore(person, copy.statement):
            return
        person.add(recorded_now(copy, self._instant), source_ids)

    def parts_that_may(self) -> Iterator[Part]:
        for part in self._work.parts:
            if self._belongs(part.person_id, part.source, part.household):
                self._work.parts_released.append(part)
                yield part

    def withdraw_where_no_longer_standing(self) -> None:
        """Copies that reached a person while no place of that person was known are tested now."""
        for person_id, outcome in self._work.admission.outcomes.items():
            if outcome.retest:
                self._test_copies(self._work.persons[person_id])

    def _test_copies(self, person: Person) -> None:
        statements = list(statements_of(person.statements))
        for at, said in enumerate(statements):
            household = _household_of_copy(said)
            if household is None or said.standing_at() == "withheld":
                continue
            if not self._belongs(person.person_id, said.source, household):
                statements[at] = standing_of(said, self._instant, "withheld")
                person.causes[said.event_id] = None
                self._hold(person.person_id, said, household)
        person.statements = put_back(statements)

    def _restore(self, person: Person, copied: Statement) -> bool:
        statements = list(statements_of(person.statements))
        for at, said in enumerate(statements):
            if (said.event_id, said.chain) == (copied.event_id, copied.chain):
                if said.standing_at() == "withheld":
                    statements[at] = standing_of(said, self._instant, "full")
                    person.causes[said.event_id] = None
                    person.statements = put_back(statements)
                return True
        return False

    def _belongs(self, person_id: str, urn: str, household: str) -> bool:
        work, source = self._work, self._sources.get(urn)
        person = work.persons[person_id]
        stands, mates = person.memory.stands, mates_of(work, person)
        if not (stands.strong or stands.weak or mates) or part_id(household, urn, person_id) in stands.exempt:
            return True
        return source is not None and belongs(source, {*stands.strong, *stands.weak, *mates})

    def _hold(self, person_id: str, said: Statement, household: str) -> None:
        id_ = part_id(household, said.source, person_id)
        self._work.held.append(Part(id_, household, said.source, person_id, said.event_id))


def _household_of_copy(said: Statement) -> str | None:
    """The household through which a statement reached the person; None where it was made about the person."""
    if said.via is not None:
        return said.via
    return said.value.household if isinstance(said.value, Household) else None


def part_id(household: str, source: str, person_id: str) -> str:
    return derived_id("member", household, source, person_id)


def mates_of(work: Work, person: Person) -> frozenset[str]:
    """Vouched divisions of those who are taken for the same human now."""
    return frozenset(d for i in ids_of_mates(work, person) for d in work.persons[i].memory.stands.strong)


def ids_of_mates(work: Work, person: Person) -> set[str]:
    if not person.identities:
        return set()
    now = person.identities[-1]
    ids = {*now.aliases, *([now.merged_into] if now.merged_into else [])}
    if now.merged_into:
        ids |= set(work.persons[now.merged_into].identities[-1].aliases)
    return ids - {person.person_id}


# ── other identities ────────────────────────────────────────────────────────────────────────────────────────


def strong_beside(work: Work, person_id: str, chain: str, *, own: bool = True) -> frozenset[str]:
    """Vouched divisions of a person (without its `own` if so asked) and of those who are the same human without the
    identity change `chain`."""
    said = {
        p.person_id: [s for s in identity_statements(p.statements) if s.chain != chain] for p in work.persons.values()
    }
    links, same = links_known_at(said), {person_id}
    while more := {p for link in links for p in link[1:3] if same & set(link[1:3])} - same:
        same |= more
    found = [work.persons[p].memory.stands.strong for p in same if p in work.persons and (own or p != person_id)]
    return frozenset(division for strong in found for division in strong)


def note_parted(work: Work, before: Mapping[str, set[str]]) -> None:
    """Persons who are taken for fewer than `before`: their sources may have belonged by one of those."""
    work.parted |= {p for p, mates in before.items() if mates - ids_of_mates(work, work.persons[p])}


def _with_a_first_place(work: Work) -> set[str]:
    """Mates of persons whose first place is known now: identity changes that name such a person are tested."""
    first = [p for p, before in work.before.items() if before.seed == 0 < work.persons[p].memory.stands.seed]
    return {mate for p in first for mate in ids_of_mates(work, work.persons[p])}


def persons_to_judge_again(work: Work) -> set[str]:
    """Persons of whom something waits, and for whom the vouched places of other identities have changed; and persons
    of whom what was taken before is tested now."""
    found = {p.person_id for p in work.persons.values() if p.rejoined}
    for person_id, before in work.before.items():
        person = work.persons[person_id]
        if person.memory.stands.strong != before.strong:
            found |= ids_of_mates(work, person) | {o.keeper for o in person.memory.stands.own}
            found.discard(person_id)
    waiting = {p for p in found if work.persons[p].waiting}
    waiting |= {p for e in work.events if e.event_id in work.admission.stuck and (p := work.whose(e)) in found}
    return waiting | _with_a_first_place(work) | work.parted
