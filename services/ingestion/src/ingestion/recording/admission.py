"""Decides which events of a batch count, which wait, and which earlier events change their standing.

Almost every event comes from a source that belongs by an already vouched place. For such an event the few divisions in
the person's row are enough. Other events are judged with all statements of the person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from common.codes.id_number import has_hukou
from common.events.population import RegistrationValue, ResidenceValue

from ingestion.domain.chains import Placing
from ingestion.domain.person import Person, place, statements_of
from ingestion.domain.places import belongs, county_of, lies_in, located
from ingestion.domain.pushed import Pushed, Source
from ingestion.domain.standing import PLACE_KINDS, Chain, Outcome, Rules, StandingJudge, chains_of, place_of
from ingestion.domain.standing_state import PlaceRuling, StandingState
from ingestion.domain.statements import statement_of
from ingestion.recording.batch import Admission, Work
from ingestion.recording.identities import mates_of, vouched_without


@dataclass(frozen=True)
class AdmissionTest:
    """The inputs that all persons of a batch share. `source_ids`: see `domain.person.place`."""

    work: Work
    source_ids: Mapping[str, str]
    rules: Rules
    sources: Mapping[str, Source]
    instant: datetime
    today: date

    def admit(self, placing: Placing) -> Admission:
        """Decide the events that `placing` lets take effect. It changes the standing in the persons' memories."""
        admission = Admission()
        by_person = self._by_person(placing)
        slow = [person_id for person_id, events in by_person.items() if not self._admit_at_once(person_id, events)]
        for person_id in slow:
            self._judge(self.work.persons[person_id], by_person[person_id], placing, admission)
        return admission

    def _by_person(self, placing: Placing) -> dict[str, list[Pushed]]:
        by_person: dict[str, list[Pushed]] = {person_id: [] for person_id in self.work.request.person_ids}
        for event in self.work.events:
            keeper = placing.keepers.get(event.event_id)
            if keeper is not None:
                by_person.setdefault(keeper, []).append(event)
        return by_person

    def _admit_at_once(self, person_id: str, events: Sequence[Pushed]) -> bool:
        """Whether all these events count fully, decided by the person's row alone."""
        work = self.work
        if person_id in work.request.person_ids or any(e.event_id in work.waited for e in events):
            return False
        memory = work.persons[person_id].memory
        standing = _standing_at_once(work.persons[person_id], events)
        if standing is None:
            return False
        if standing is not memory.standing:
            memory.standing = standing
        return True

    # ── with all statements ─────────────────────────────────────────────────────────────────────────────────

    def _judge(self, person: Person, events: Sequence[Pushed], placing: Placing, admission: Admission) -> None:
        outcome = self._outcome(person, events, placing)
        admission.outcomes[person.person_id] = outcome
        person.memory.standing = outcome.standing
        person.touched = True
        for chain, verdict in outcome.verdicts.items():
            if verdict.reason is None and verdict.counts_as != "full":
                admission.standing[chain] = verdict.counts_as
        for event in events:
            reason = self._reason_to_wait(event, placing.chains[event.event_id], outcome)
            if reason is not None:
                admission.stuck[event.event_id] = reason

    def _outcome(self, person: Person, events: Sequence[Pushed], placing: Placing) -> Outcome:
        work = self.work
        statements = statements_of(self._trial(person, events, placing))
        fresh = {e.event_id: self._arrived_at(e.event_id) for e in events}
        chains = chains_of(statements, fresh, person.memory.standing, self.sources)
        standing = self._with_request(person, chains)
        mates = mates_of(work, person)
        work.standing_before[person.person_id] = person.memory.standing
        retest = person.person_id in work.request.retest
        without = self._vouched_without(person)
        return StandingJudge(self.rules, standing, chains, self.today, mates, without, retest).decide()

    def _trial(self, person: Person, events: Sequence[Pushed], placing: Placing) -> bytes:
        """The statements of the person as if all these events counted."""
        trial = person.statements
        present = {s.event_id for s in statements_of(trial)} if self.work.waited else set[str]()
        for event in events:
            if event.kind != "household" and event.event_id not in present:
                chain = placing.chains[event.event_id]
                statement = statement_of(event, chain, self.instant, self.work.person_of)
                trial = place(trial, statement, self.source_ids)
        return trial

    def _arrived_at(self, event_id: str) -> datetime:
        waited = self.work.waited.get(event_id)
        return waited.since if waited is not None else self.instant

    def _reason_to_wait(self, event: Pushed, chain: str, outcome: Outcome) -> str | None:
        """The reason of the chain for its first event; the events that follow wait for that one."""
        verdict = outcome.verdicts.get(chain)
        if verdict is None or verdict.reason is None:
            return None
        root = event.event_id == chain or event.event_id in self.work.request.forced
        return verdict.reason if root or verdict.reason == "withdrawn" else "predecessor_waits"

    def _vouched_without(self, person: Person) -> Callable[[str | None, str], frozenset[str]]:
        def found(person_id: str | None, chain: str) -> frozenset[str]:
            if person_id is None:
                return vouched_without(self.work, person.person_id, chain, own=False)
            return vouched_without(self.work, person_id, chain)

        return found

    def _with_request(self, person: Person, chains: Sequence[Chain]) -> StandingState:
        """The person's standing with the new decisions of officers. The release of a place confirms this place, not
        another one to which its source corrects it later."""
        request, standing = self.work.request, person.memory.standing
        released = set(request.exempt.get(person.person_id, ()))
        rulings = _confirmed_places(chains, released, standing)
        exempt = released - set(standing.exempt) - {r.chain for r in rulings}
        if (decided := request.places.get(person.person_id)) is not None:
            rulings.append(decided)
        grants = request.grants.get(person.person_id, ())
        if not rulings and not exempt and not grants:
            return standing
        return msgspec.structs.replace(
            standing,
            rulings=_with_rulings(standing.rulings, rulings),
            exempt=(*standing.exempt, *sorted(exempt)),
            grants=(*standing.grants, *grants),
        )


def _confirmed_places(chains: Sequence[Chain], released: set[str], standing: StandingState) -> list[PlaceRuling]:
    places = [place_of(c, standing) for c in chains if c.chain in released]
    return [PlaceRuling(p.chain, p.division, "confirmed") for p in places if p is not None]


def _with_rulings(before: Sequence[PlaceRuling], new: Sequence[PlaceRuling]) -> tuple[PlaceRuling, ...]:
    """The new rulings replace all earlier ones of their chains."""
    chains = {r.chain for r in new}
    return (*(r for r in before if r.chain not in chains), *new)


# ── without statements ──────────────────────────────────────────────────────────────────────────────────────

Begun = tuple[Pushed, str]  # an event that begins a place, and the resolved division


def _standing_at_once(person: Person, events: Sequence[Pushed]) -> StandingState | None:
    """The standing after these events, if all of them count fully; None if the row is not enough to decide that."""
    standing = person.memory.standing
    places = [e for e in events if e.kind in PLACE_KINDS]
    if _needs_statements(person, events, places):
        return None
    begun = [(e, d) for e in places if e.action == "created" and (d := _division(e)) is not None]
    if standing.seed == 0 and not begun:
        return standing if not places else None  # nothing is tested while no place is known
    seeded = _seeded(standing, person, begun)
    if seeded is None:
        return None
    strong = set(seeded.strong)
    if not all(_add_place(strong, event, division) for event, division in begun) or not _all_belong(events, strong):
        return None
    home = _home(seeded, begun)
    if strong == set(standing.strong) and seeded.seed == standing.seed and home == standing.home:
        return standing
    return msgspec.structs.replace(seeded, strong=tuple(sorted(strong)), home=home)


def _needs_statements(person: Person, events: Sequence[Pushed], places: Sequence[Pushed]) -> bool:
    if person.waiting or person.identities or any(e.kind == "identity_change" for e in events):
        return True
    if person.memory.standing.special:
        # A death that waited may have been accepted as evidence, or may wait again.
        return bool(places) or any(e.kind == "death" for e in events)
    return any(e.action in ("corrected", "annulled") for e in places)


def _add_place(strong: set[str], event: Pushed, division: str) -> bool:
    """Add a place that its source may vouch for; False if the source does not belong."""
    if division not in strong and not belongs(event.source, strong):
        return False
    strong.add(division)
    return True


def _all_belong(events: Sequence[Pushed], strong: set[str]) -> bool:
    """Whether the sources of all these events belong to a person with these vouched divisions."""
    sources = {id(e.source): e.source for e in events}
    return all(belongs(source, strong) for source in sources.values())


def _home(seeded: StandingState, begun: Sequence[Begun]) -> str | None:
    home = seeded.home
    for event, division in begun:
        if isinstance(event.value, RegistrationValue) or seeded.seed < 2:
            home = county_of(division)
    return home


def _seeded(standing: StandingState, person: Person, begun: Sequence[Begun]) -> StandingState | None:
    """The standing with the first hukou, or the first residence, among the vouched places; None if undecided."""
    hukou = next((b for b in begun if isinstance(b[0].value, RegistrationValue)), None)
    if standing.seed == 2 or (standing.seed == 1 and hukou is None):
        return standing
    event, division = hukou or begun[0]
    if not lies_in(division, event.source.areas):
        return None
    if standing.seed == 0 and person.statements:
        return None  # the statements that came before the first place are tested now
    county = county_of(division)
    if any(county_of(d) != county for d in (*standing.strong, *(d for _, d in begun))):
        return None  # a residence in another county is judged as if it had come after the hukou
    seed = 2 if hukou is not None else 1
    return msgspec.structs.replace(standing, strong=tuple(sorted({*standing.strong, division})), seed=seed)


def _division(event: Pushed) -> str | None:
    """The resolved division of a place; None for other events and for a person without a hukou."""
    value = event.value
    if isinstance(value, ResidenceValue):
        return located(value.division, event.source)
    if not isinstance(value, RegistrationValue) or not has_hukou(event.person.number):
        return None
    return located(value.hukou_division, event.source) if value.hukou_division is not None else None
