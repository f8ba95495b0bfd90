"""Decides which source may state which fact about a person.

The rule is in docs/standing.md, its data in contracts/sources.yaml.

A source *belongs* to a person if its areas contain a vouched place of that person. An event of another source waits, or
counts less: a place is claimed, a stay or an incident is a hint, a death is a suspicion.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from common.events.facts import IdentityChange, Registration, Residence, Standing, Statement
from rules.facts.timeline import Deceased, death_of, facts_known_at

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import Place, Ruling, belongs, county_of, judge, located
from ingestion.domain.pushed import Source
from ingestion.domain.standing_state import StandingState

Treatment = Literal["claim", "wait", "members", "suspect", "hint"]
PLACE_KINDS: Final = ("registration", "residence")
NOT_COUNTED: Final = ("waits", "withheld")
# A place may be corrected to another one. A death may have served as evidence for one that is no longer confirmed. An
# identity change may have been accepted while no place of one of the two persons was known.
_ALWAYS_TESTED: Final = (*PLACE_KINDS, "death", "identity_change")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The data of the rule.

    `others`: treatment of each kind when the source does not belong. `strict`: kinds for which a place vouched by
    silence is not enough; two officers decide them. `evidence_days`: a waiting death supports a confirmed one at most
    so many days apart. `hint_days`: life of a hint. `refuted_deaths_max`: after so many refuted deaths of one person,
    a source raises no suspicion of that person. `group_events_max`: more waiting events of one source, kind and day
    become one case."""

    others: dict[str, Treatment]
    strict: frozenset[str]
    closing_days: int
    silence_working_days: int
    evidence_days: int
    refuted_deaths_max: int
    hint_days: int
    group_events_max: int
    case_days: int


class Chain(NamedTuple):
    """All statements of one chain in their order. `chain`: id of its first event. `applied`: it counts already."""

    chain: str
    kind: str
    source: Source
    statements: tuple[Statement, ...]
    applied: bool
    arrived: datetime

    @property
    def last(self) -> Statement:
        """The statement that gives the value. An `ended` only closes its period."""
        valued = [s for s in self.statements if s.action != "ended"]
        return valued[-1] if valued else self.statements[-1]

    @property
    def annulled(self) -> bool:
        return self.last.action == "annulled"


class Verdict(NamedTuple):
    """The result for a chain. `counts_as`: how far it counts. `reason`: the quarantine code if it waits."""

    counts_as: Standing
    reason: str | None = None


class Outcome(NamedTuple):
    """The result for a person. `places`: by chain. `retest`: earlier statements were tested, too, because fewer places
    are vouched than before, or because the first place has become known."""

    standing: StandingState
    verdicts: dict[str, Verdict]
    places: dict[str, Place]
    retest: bool


FULL: Final = Verdict("full")


def chains_of(
    statements: Iterable[Statement],
    fresh: Mapping[str, datetime],
    standing: StandingState,
    sources: Mapping[str, Source],
) -> list[Chain]:
    """The chains that sources have begun about one person, in the order in which they were learnt.

    `fresh`: events that do not count yet, with the instant of their arrival. Copies through a household are left out,
    and events that neither count nor wait: officers have discarded those."""
    own = {o.chain for o in standing.own}
    by_chain: dict[str, list[Statement]] = {}
    for s in statements:
        judged = s.event_id in fresh or s.standing_at() not in NOT_COUNTED
        if judged and s.chain not in own and s.source in sources and _is_of_source(s):
            by_chain.setdefault(s.chain, []).append(s)
    found = [_chain(stated, fresh, sources) for stated in by_chain.values()]
    # Chains that begin to count together are judged in the order of their arrival, as their statements are stored.
    return sorted(found, key=lambda c: (_learnt_at(c), c.arrived))


def _is_of_source(statement: Statement) -> bool:
    """Whether a source made the statement about this person, and not about a household."""
    return statement.via is None and statement.kind != "household"


def _chain(stated: Sequence[Statement], fresh: Mapping[str, datetime], sources: Mapping[str, Source]) -> Chain:
    first = stated[0]
    applied = any(s.event_id not in fresh for s in stated)
    arrived = min(fresh.get(s.event_id, s.recorded_at) for s in stated)
    return Chain(first.chain, first.kind, sources[first.source], tuple(stated), applied, arrived)


def _learnt_at(chain: Chain) -> datetime:
    """The instant from which the chain counted. Time of waiting before it does not matter for the order of places."""
    return min(s.recorded_at for s in chain.statements)


def place_of(chain: Chain, standing: StandingState) -> Place | None:
    """The place that a chain states now; None if it states none, or if an objection has removed it."""
    value = chain.last.value
    if chain.annulled or not isinstance(value, Registration | Residence):
        return None
    division = _division_of(value, chain.source)
    if division is None or has_objection(standing, chain.chain):
        return None
    return Place(
        chain.chain,
        isinstance(value, Registration),
        division,
        chain.source,
        chain.last.valid_from,
        _closed_on(chain),
        _ruling_on(standing, chain.chain, division),
    )


def _division_of(value: Registration | Residence, source: Source) -> str | None:
    """The resolved division of a place; None for a person without a hukou."""
    code = value.hukou_division if isinstance(value, Registration) else value.division
    return located(code, source) if code is not None else None


def _closed_on(chain: Chain) -> date | None:
    ended = [s.valid_to for s in chain.statements if s.action == "ended"]
    return ended[-1] if ended else chain.last.valid_to


def has_objection(standing: StandingState, chain: str) -> bool:
    """Whether the county left has objected to the place of a chain."""
    return any(r.chain == chain and r.outcome == "objected" for r in standing.rulings)


def _ruling_on(standing: StandingState, chain: str, division: str) -> Ruling | None:
    """The newest decision for this place of the chain."""
    ruling: Ruling | None = None
    for r in standing.rulings:
        if r.chain == chain and r.division == division and r.outcome != "objected":
            ruling = r.outcome
    return ruling


class StandingJudge:
    """Judges all chains of one person at once.

    `mates`: vouched divisions of other identities of the same human. `vouched_without`: by person and identity change,
    the vouched divisions of all who are the same human as the person without this change; for person None, of the
    judged person's other identities. `retest`: test earlier statements, too."""

    def __init__(
        self,
        rules: Rules,
        standing: StandingState,
        chains: Sequence[Chain],
        today: date,
        mates: frozenset[str] = frozenset(),
        vouched_without: Callable[[str | None, str], frozenset[str]] = lambda person_id, chain: frozenset(),
        retest: bool = False,
    ) -> None:
        self._rules, self._today, self._vouched_without, self._retest = rules, today, vouched_without, retest
        self._before, self._chains = standing, chains
        self._granted: list[str] = []  # chains that a grant has admitted
        self._places = [p for c in chains if (p := place_of(c, standing)) is not None]
        self._judged = judge(self._places, rules.closing_days, mates)
        self._any_vouched = bool(self._judged.strong or self._judged.weak)
        self._own = [p for p in self._places if self._judged.states[p.chain] == "vouched"]
        self._own_divisions = frozenset(p.division for p in self._own)

    def decide(self) -> Outcome:
        seed = 2 if self._judged.seed_is_hukou else 1 if self._judged.seed else 0
        retest = self._any_vouched and self._needs_retest(seed)
        verdicts = {c.chain: self._verdict(c, retest) for c in self._chains}
        verdicts |= self._evidence(verdicts)
        places = {p.chain: p for p in self._places}
        return Outcome(self._new_state(seed, verdicts), verdicts, places, retest)

    def _needs_retest(self, seed: int) -> bool:
        before = self._before
        first_place = before.seed == 0 or (before.seed == 1 and seed == 2)
        return self._retest or first_place or not set(before.strong) <= self._judged.strong

    def _new_state(self, seed: int, verdicts: Mapping[str, Verdict]) -> StandingState:
        before, weak = self._before, tuple(sorted(self._judged.weak - self._judged.strong))
        decided = before.rulings or before.exempt or before.grants or before.own
        counts_less = any(v.counts_as in ("claimed", "hint") for v in verdicts.values())
        return msgspec.structs.replace(
            before,
            strong=tuple(sorted(self._own_divisions)),
            weak=weak,
            seed=seed,
            special=bool(decided or counts_less or weak),
            home=self._home(),
            exempt=(*before.exempt, *self._granted),  # they stay when the grant has run out
        )

    def _home(self) -> str | None:
        """The county of the newest vouched hukou, else residence."""
        candidates = [p for p in self._own if p.hukou] or self._own
        return county_of(candidates[-1].division) if candidates else None

    def _verdict(self, chain: Chain, retest: bool) -> Verdict:
        tested = self._any_vouched or chain.kind in PLACE_KINDS
        found = self._test(chain) if tested else FULL
        if found.reason is None:
            return found
        if chain.applied and not retest and chain.kind not in _ALWAYS_TESTED:
            return FULL  # its source belonged when it was accepted
        return Verdict("withheld", WITHDRAWN) if chain.annulled else found

    def _test(self, chain: Chain) -> Verdict:
        """The verdict on a chain as if it arrived now."""
        state = self._judged.states.get(chain.chain)
        if state == "outside":
            return Verdict("withheld", "registered_elsewhere")
        if state is not None:
            return Verdict("claimed") if state == "claimed" else FULL
        if has_objection(self._before, chain.chain):
            return Verdict("withheld", "place_objected")
        if self._is_admitted(chain):
            return FULL
        if self._rules.others[chain.kind] == "hint":
            return Verdict("hint")
        by_silence = chain.kind in self._rules.strict and belongs(chain.source, self._judged.weak)
        return Verdict("withheld", "standing_by_silence" if by_silence else "source_not_of_person")

    def _is_admitted(self, chain: Chain) -> bool:
        """Whether the source belongs, or officers have admitted the chain."""
        if chain.chain in self._before.exempt or not self._any_vouched or self._source_may(chain):
            return True
        granted = self._before.granted(chain.source, chain.kind, self._today) and self._may_name_other(chain)
        if granted:
            self._granted.append(chain.chain)
        return granted

    def _source_may(self, chain: Chain) -> bool:
        """Whether the source belongs, as strictly as the kind demands it."""
        if chain.kind == "identity_change":
            return self._may_link(chain)
        if belongs(chain.source, self._judged.strong):
            return True
        return chain.kind not in self._rules.strict and belongs(chain.source, self._judged.weak)

    def _may_link(self, chain: Chain) -> bool:
        """An identity change is tested for both persons, without the places that the change itself has added."""
        vouched = self._own_divisions | self._vouched_without(None, chain.chain)
        return (not vouched or belongs(chain.source, vouched)) and self._may_name_other(chain)

    def _may_name_other(self, chain: Chain) -> bool:
        """Whether a source belongs to the other person of an identity change, or that person has no vouched place."""
        if not isinstance(chain.last.value, IdentityChange):
            return True
        vouched = self._vouched_without(chain.last.value.same_as, chain.chain)
        return not vouched or belongs(chain.source, vouched)

    def _evidence(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """Waiting deaths that count as evidence, because sources that belong have confirmed the death."""
        waiting = [c for c in self._chains if c.kind == "death" and verdicts[c.chain].reason not in (None, WITHDRAWN)]
        if not waiting:
            return {}
        dead = self._confirmed_death(verdicts)
        if dead is None:
            return {}
        span = timedelta(days=self._rules.evidence_days)
        days = {c.chain: c.last.valid_from for c in waiting}
        return {chain: FULL for chain, day in days.items() if day is not None and abs(day - dead.on) <= span}

    def _confirmed_death(self, verdicts: Mapping[str, Verdict]) -> Deceased | None:
        counting = [s for c in self._chains if verdicts[c.chain].reason is None for s in c.statements]
        found = death_of(facts_known_at([msgspec.structs.replace(s, standing=()) for s in counting]))
        return found if isinstance(found, Deceased) else None
