"""Decides which events of a batch count, which wait, and which earlier events change their standing.

The *standing* of a chain says how far it counts. A source *belongs* to a person if its areas contain a vouched place of
the person. Almost every event comes from a source that belongs by an already vouched place. For such an event the few
divisions in the person's row are enough. Other events are judged with all statements of the person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import NamedTuple

from common.codes.id_number import has_hukou
from common.events.facts import Statement
from common.events.pushed_values import RegistrationValue, ResidenceValue
from msgspec.structs import replace

from ingestion.domain.chains import reason_in_chain
from ingestion.domain.person import Person, place, statements_of
from ingestion.domain.places import belongs, county_of, lies_in, located
from ingestion.domain.pushed import Pushed, Source
from ingestion.domain.standing import Identities, Outcome, Rules, StandingJudge
from ingestion.domain.standing_state import PlaceRuling, StandingState
from ingestion.domain.stated_chains import PLACE_KINDS, Chain, chains_of, place_of
from ingestion.domain.statements import statement_of
from ingestion.recording.batch import Admission, Work
from ingestion.recording.identities import Judged, mates_of, vouched_before


@dataclass(frozen=True)
class AdmissionTest:
    """The inputs that all persons of a batch share. The result is in `work.admission`."""

    work: Work
    rules: Rules
    sources: Mapping[str, Source]
    instant: datetime
    today: date

    @property
    def admission(self) -> Admission:
        return self.work.admission

    def admit(self) -> None:
        """Decide the events that `work.placing` lets take effect, and change the standing in the persons' memories."""
        by_person = self._by_person()
        slow = [person_id for person_id, events in by_person.items() if not self._admit_at_once(person_id, events)]
        for person_id in slow:
            self._judge(self.work.persons[person_id], by_person[person_id])

    def _by_person(self) -> dict[str, list[Pushed]]:
        """The events that take effect, by person. A person to judge again has an entry even without events."""
        by_person: dict[str, list[Pushed]] = {person_id: [] for person_id in self.work.request.person_ids}
        keepers = self.work.placing.keepers
        for event in self.work.events:
            if event.event_id in keepers:
                by_person.setdefault(keepers[event.event_id], []).append(event)
        return by_person

    def _admit_at_once(self, person_id: str, events: Sequence[Pushed]) -> bool:
        """Let all these events count fully, if the person's row alone permits that. Returns whether it does."""
        if self._needs_judgement(person_id, events):
            return False
        person = self.work.persons[person_id]
        standing = _standing_at_once(person, events)
        if standing is not None:
            person.memory.standing = standing
        return standing is not None

    def _needs_judgement(self, person_id: str, events: Sequence[Pushed]) -> bool:
        """Whether the person is to be judged again, or one of the events waited."""
        work = self.work
        return person_id in work.request.person_ids or any(e.event_id in work.waited for e in events)

    # ── with all statements ─────────────────────────────────────────────────────────────────────────────────

    def _judge(self, person: Person, events: Sequence[Pushed]) -> None:
        """Judge the person with all statements and these events, and store the outcome."""
        outcome = self._outcome(person, events)
        self.admission.outcomes[person.person_id] = outcome
        self.admission.standing.update(outcome.counting_less)
        self._note_stuck(events, outcome)
        person.memory.standing = outcome.standing
        person.touched = True

    def _note_stuck(self, events: Sequence[Pushed], outcome: Outcome) -> None:
        """Note the reason of each event that waits."""
        for event in events:
            reason = self._reason_to_wait(event, outcome)
            if reason is not None:
                self.admission.stuck[event.event_id] = reason

    def _outcome(self, person: Person, events: Sequence[Pushed]) -> Outcome:
        """Judge the person as if all these events counted."""
        work, person_id, before = self.work, person.person_id, person.memory.standing
        work.standing_before[person_id] = before
        statements = statements_of(self._trial(person, events))
        fresh = {e.event_id: self._arrived_at(e.event_id) for e in events}
        chains = chains_of(statements, fresh, before, self.sources)
        standing = self._with_request(person, chains)
        retest = person_id in work.request.retest
        return StandingJudge(self.rules, standing, chains, self.today, self._identities(person_id), retest).decide()

    def _identities(self, person_id: str) -> Identities:
        return Identities(mates_of(self.work, person_id), partial(self._vouched_before, person_id))

    def _vouched_before(self, judged: str, person_id: str | None, chain: str, own: frozenset[str]) -> frozenset[str]:
        """Vouched divisions before the identity change `chain` (see `Identities`). `judged`: the judged person."""
        return vouched_before(self.work, Judged(judged, own), person_id or judged, chain)

    def _trial(self, person: Person, events: Sequence[Pushed]) -> bytes:
        """The statements of the person as if all these events counted."""
        trial, present = person.statements, self._present(person)
        for event in events:
            if event.kind != "household" and event.event_id not in present:
                trial = place(trial, self._statement_of(event), self.work.source_ids)
        return trial

    def _present(self, person: Person) -> set[str]:
        """Event ids of the person's statements, if one of them may have waited."""
        return {s.event_id for s in statements_of(person.statements)} if self.work.waited else set()

    def _statement_of(self, event: Pushed) -> Statement:
        return statement_of(event, self.work.chain(event), self.instant, self.work.person_of)

    def _arrived_at(self, event_id: str) -> datetime:
        """When the event began to wait; for a new event, the instant of the batch."""
        waited = self.work.waited.get(event_id)
        return waited.since if waited is not None else self.instant

    def _reason_to_wait(self, event: Pushed, outcome: Outcome) -> str | None:
        event_id, chain = event.event_id, self.work.chain(event)
        verdict = outcome.verdicts.get(chain)
        if verdict is None or verdict.reason is None:
            return None
        return reason_in_chain(verdict.reason, begins=event_id == chain or event_id in self.work.request.forced)

    def _with_request(self, person: Person, chains: Sequence[Chain]) -> StandingState:
        """The person's standing with the new decisions of officers. The release of a place confirms this place, not
        another one to which its source corrects it later."""
        request, standing = self.work.request, person.memory.standing
        released = set(request.exempt.get(person.person_id, ()))
        rulings = _confirmed_places(chains, released, standing)
        exempt = released - {r.chain for r in rulings}
        decided = request.places.get(person.person_id)
        if decided is not None:
            rulings.append(decided)
        return standing.with_decisions(rulings, exempt, request.grants.get(person.person_id, ()))


def _confirmed_places(chains: Sequence[Chain], released: set[str], standing: StandingState) -> list[PlaceRuling]:
    """Rulings that confirm the places of released chains."""
    places = [place_of(c, standing) for c in chains if c.chain in released]
    return [PlaceRuling(p.chain, p.division, "confirmed") for p in places if p is not None]


# ── without statements ──────────────────────────────────────────────────────────────────────────────────────


class _Begun(NamedTuple):
    """A place that begins with an event of the batch. `division` is resolved."""

    division: str
    hukou: bool
    source: Source


def _standing_at_once(person: Person, events: Sequence[Pushed]) -> StandingState | None:
    """The standing after these events, if all of them count fully; None if the row is not enough to decide that."""
    before = person.memory.standing
    places = [e for e in events if e.kind in PLACE_KINDS]
    if _needs_statements(person, events, places):
        return None
    begun = _begun(places)
    if before.seed == 0 and not begun:
        return before if not places else None  # nothing is tested while no place is known
    seeded = _seeded(person, begun)
    strong = _vouched_with(seeded, begun) if seeded is not None else None
    if seeded is None or strong is None or not _all_belong(events, strong):
        return None
    return _with_places(before, seeded, strong, _home(seeded, begun))


def _with_places(before: StandingState, seeded: StandingState, strong: set[str], home: str | None) -> StandingState:
    """The standing with these places. It is the object `before` if nothing has changed."""
    if strong == set(before.strong) and seeded.seed == before.seed and home == before.home:
        return before
    return replace(seeded, strong=tuple(sorted(strong)), home=home)


def _needs_statements(person: Person, events: Sequence[Pushed], places: Sequence[Pushed]) -> bool:
    """Whether the person's row is not enough to judge these events. `places`: those of them that state a place."""
    if person.waiting or person.identities or any(e.kind == "identity_change" for e in events):
        return True
    if person.memory.standing.special:
        # A death that waited may have been accepted as evidence, or may wait again.
        return bool(places) or any(e.kind == "death" for e in events)
    return any(e.action in ("corrected", "annulled") for e in places)


def _vouched_with(seeded: StandingState, begun: Sequence[_Begun]) -> set[str] | None:
    """The vouched divisions with these places; None if the source of one does not belong."""
    strong = set(seeded.strong)
    for stated in begun:
        if stated.division not in strong and not belongs(stated.source, strong):
            return None
        strong.add(stated.division)
    return strong


def _all_belong(events: Sequence[Pushed], strong: set[str]) -> bool:
    """Whether the sources of all these events belong to a person with these vouched divisions."""
    sources = {id(e.source): e.source for e in events}
    return all(belongs(source, strong) for source in sources.values())


def _home(seeded: StandingState, begun: Sequence[_Begun]) -> str | None:
    """The county of the newest vouched hukou, else residence, after these places."""
    home = seeded.home
    for stated in begun:
        if stated.hukou or seeded.seed < 2:
            home = county_of(stated.division)
    return home


# ── the first place ─────────────────────────────────────────────────────────────────────────────────────────


def _seeded(person: Person, begun: Sequence[_Begun]) -> StandingState | None:
    """The standing with the first hukou, or the first residence, among the vouched places; None if undecided."""
    standing = person.memory.standing
    hukou = next((stated for stated in begun if stated.hukou), None)
    if standing.seed == 2 or (standing.seed == 1 and hukou is None):
        return standing
    first = hukou or begun[0]
    if not _may_be_first(first, person, begun):
        return None
    strong = {*standing.strong, first.division}
    return replace(standing, strong=tuple(sorted(strong)), seed=2 if first.hukou else 1)


def _may_be_first(first: _Begun, person: Person, begun: Sequence[_Begun]) -> bool:
    """Whether a place becomes the first vouched place, as far as the person's row shows it."""
    standing = person.memory.standing
    if not lies_in(first.division, first.source.areas):
        return False
    if standing.seed == 0 and person.statements:
        return False  # the statements that came before the first place are tested now
    # A residence in another county is judged as if it had come after the hukou.
    return _are_in_one_county([*standing.strong, *(stated.division for stated in begun)])


def _are_in_one_county(divisions: Sequence[str]) -> bool:
    return len({county_of(division) for division in divisions}) == 1


# ── places that begin ───────────────────────────────────────────────────────────────────────────────────────


def _begun(places: Sequence[Pushed]) -> list[_Begun]:
    stated = [_begin(event) for event in places if event.action == "created"]
    return [place for place in stated if place is not None]


def _begin(event: Pushed) -> _Begun | None:
    division = _division(event)
    if division is None:
        return None
    return _Begun(division, isinstance(event.value, RegistrationValue), event.source)


def _division(event: Pushed) -> str | None:
    """The resolved division of a place; None for other events and for a person without a hukou."""
    code = _code(event)
    return located(code, event.source) if code is not None else None


def _code(event: Pushed) -> str | None:
    value = event.value
    if isinstance(value, ResidenceValue):
        return value.division
    if isinstance(value, RegistrationValue) and has_hukou(event.person.number):
        return value.hukou_division
    return None
