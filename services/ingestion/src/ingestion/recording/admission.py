"""Decides which events of a batch count, which wait, and which earlier ones count otherwise now.

Almost every event comes from a source that belongs by a place which is vouched already; for it the few divisions kept
with the person suffice. Only what does not pass there is judged with all statements of the person (`_judge`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from common.codes.id_number import has_hukou
from common.events.population import RegistrationValue, ResidenceValue

from ingestion.domain.chains import Placing
from ingestion.domain.memory import Decided, Stands
from ingestion.domain.person import Person, place, statements_of
from ingestion.domain.places import belongs, county_of, lies_in, located
from ingestion.domain.pushed import Pushed, Source
from ingestion.domain.standing import PLACE_KINDS, Assembly, Chain, Rules, chains_of, place_of
from ingestion.domain.statements import statement_of
from ingestion.recording.batch import Admission, Work
from ingestion.recording.consequences import mates_of, strong_beside


@dataclass(frozen=True)
class Admitting:
    """The inputs that all persons of a batch share. `source_ids`: see `domain.person.place`."""

    work: Work
    source_ids: Mapping[str, str]
    rules: Rules
    sources: Mapping[str, Source]
    instant: datetime
    today: date

    def admit(self, placing: Placing) -> Admission:
        """Decide on the events that `placing` would let take effect. Changes what the persons' memories hold."""
        work, admission = self.work, Admission()
        taken: dict[str, list[Pushed]] = {person_id: [] for person_id in work.request.person_ids}
        for event in work.events:
            keeper = placing.keepers.get(event.event_id)
            if keeper is not None:
                taken.setdefault(keeper, []).append(event)
        slow = []
        for person_id, events in taken.items():
            person = work.persons[person_id]
            at_once = person_id not in work.request.person_ids and not any(e.event_id in work.waited for e in events)
            stands = _at_once(person, events) if at_once else None
            if stands is None:
                slow.append(person_id)
            elif stands is not person.memory.stands:
                person.memory.stands = stands
        for person_id in slow:
            self._judge(work.persons[person_id], taken[person_id], placing, admission)
        return admission

    # ── with all statements ─────────────────────────────────────────────────────────────────────────────────

    def _judge(self, person: Person, events: Sequence[Pushed], placing: Placing, admission: Admission) -> None:
        fresh = {e.event_id: self.work.since.get(e.event_id, self.instant) for e in events}
        trial = person.statements
        standing_there = {s.event_id for s in statements_of(trial)} if self.work.waited else set[str]()
        for event in events:
            if event.kind != "household" and event.event_id not in standing_there:
                said = statement_of(event, placing.chains[event.event_id], self.instant, self.work.person_of)
                trial = place(trial, said, self.source_ids)
        chains = chains_of(statements_of(trial), fresh, person.memory.stands, self.sources)
        stands = self._with_decisions(person, chains)
        mates = mates_of(self.work, person)
        self.work.before[person.person_id] = person.memory.stands
        retest = person.person_id in self.work.request.retest
        beside = self._beside(person)
        outcome = Assembly(self.rules, stands, chains, self.today, mates, beside, retest).judge()
        admission.outcomes[person.person_id] = outcome
        person.memory.stands = outcome.stands
        person.touched = True
        for chain, verdict in outcome.verdicts.items():
            if verdict.reason is None and verdict.as_ != "full":
                admission.standing[chain] = verdict.as_
        for event in events:
            chain = placing.chains[event.event_id]
            verdict_of = outcome.verdicts.get(chain)
            if verdict_of is None or verdict_of.reason is None:
                continue
            root = event.event_id == chain or event.event_id in self.work.request.forced
            reason = verdict_of.reason
            admission.stuck[event.event_id] = reason if root or reason == "withdrawn" else "predecessor_waits"

    def _with_decisions(self, person: Person, chains: Sequence[Chain]) -> Stands:
        """The memory of the person with the new decisions of officers. The release of a place confirms
        this place, not another one to which its source corrects it later."""
        request, stands = self.work.request, person.memory.stands
        released = set(request.exempt.get(person.person_id, ()))
        confirmed = [p for c in chains if c.chain in released and (p := place_of(c, stands)) is not None]
        decisions = [Decided(p.chain, p.division, "confirmed") for p in confirmed]
        if (decided := request.places.get(person.person_id)) is not None:
            decisions.append(decided)
        if decisions:
            newly = {d.chain for d in decisions}
            others = [d for d in stands.decided if d.chain not in newly]
            stands = msgspec.structs.replace(stands, decided=(*others, *decisions))
        exempt = tuple(sorted(released - set(stands.exempt) - {p.chain for p in confirmed}))
        grants = tuple(request.grants.get(person.person_id, ()))
        if exempt or grants:
            stands = msgspec.structs.replace(stands, exempt=(*stands.exempt, *exempt), grants=(*stands.grants, *grants))
        return stands

    def _beside(self, person: Person) -> Callable[[str | None, str], frozenset[str]]:
        def found(person_id: str | None, chain: str) -> frozenset[str]:
            if person_id is None:
                return strong_beside(self.work, person.person_id, chain, own=False)
            return strong_beside(self.work, person_id, chain)

        return found


# ── without statements ──────────────────────────────────────────────────────────────────────────────────────


def _at_once(person: Person, events: Sequence[Pushed]) -> Stands | None:
    """The memory after these events, if all of them count as they are; None if it cannot tell."""
    stands = person.memory.stands
    if person.waiting or person.identities:
        return None
    places = [e for e in events if e.kind in PLACE_KINDS]
    if any(e.kind == "identity_change" for e in events):
        return None
    if stands.special and any(e.kind == "death" for e in events):
        return None  # a death that waited may have been taken as evidence, or wait again
    if places and (stands.special or any(e.action in ("corrected", "annulled") for e in places)):
        return None
    begun = [e for e in places if e.action == "created" and _division(e) is not None]
    if stands.seed == 0 and not begun:
        return stands if not places else None  # nothing is tested while no place is known
    found = _seeded(stands, person, begun)
    if found is None:
        return None
    strong, home = set(found.strong), found.home
    for event in begun:
        division = _division(event)
        assert division is not None
        if division not in strong and not belongs(event.source, strong):
            return None
        strong.add(division)
        if isinstance(event.value, RegistrationValue) or found.seed < 2:
            home = county_of(division)
    for source in {id(e.source): e.source for e in events}.values():
        if not belongs(source, strong):
            return None
    if strong == set(stands.strong) and found.seed == stands.seed and home == stands.home:
        return stands
    return msgspec.structs.replace(found, strong=tuple(sorted(strong)), home=home)


def _seeded(stands: Stands, person: Person, begun: Sequence[Pushed]) -> Stands | None:
    """With the first hukou, or the first residence, among the vouched places."""
    hukou = next((e for e in begun if isinstance(e.value, RegistrationValue)), None)
    if stands.seed == 2 or (stands.seed == 1 and hukou is None):
        return stands
    first = hukou or begun[0]
    division = _division(first)
    assert division is not None
    if not lies_in(division, first.source.areas):
        return None
    if stands.seed == 0 and person.statements:
        return None  # what was taken before the first place is tested now
    others = {d for e in begun if (d := _division(e)) is not None} | set(stands.strong)
    if {county_of(d) for d in others} != {county_of(division)}:
        return None  # a residence in another county is judged as if it had come after the hukou
    seed = 2 if hukou is not None else 1
    return msgspec.structs.replace(stands, strong=tuple(sorted({*stands.strong, division})), seed=seed)


def _division(event: Pushed) -> str | None:
    value = event.value
    if isinstance(value, RegistrationValue):
        code = value.hukou_division if has_hukou(event.person.number) else None
    elif isinstance(value, ResidenceValue):
        code = value.division
    else:
        return None
    return located(code, event.source) if code is not None else None
