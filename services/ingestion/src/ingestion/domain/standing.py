"""Decides which source may state which fact about a person, and gives each chain of statements its standing.

A *chain* is a statement and all later statements that correct, annul or end it. Its *standing* says how far it counts.

The rule is in docs/standing.md, its data in contracts/sources.yaml.
A source *belongs* to a person if its areas contain a vouched place of that person. An event of another source waits, or
counts less: a place is claimed, a stay or an incident is a hint, a death is a suspicion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from common.events.facts import IdentityChange, Standing, Statement
from msgspec.structs import replace
from rules.facts.death import Deceased, death_of
from rules.facts.timeline import facts_known_at

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import Place, PlaceState, belongs, county_of, judge
from ingestion.domain.standing_state import StandingState
from ingestion.domain.stated_chains import NOT_COUNTED, PLACE_KINDS, Chain, has_objection, place_of

Treatment = Literal["claim", "wait", "members", "suspect", "hint"]
# A place may be corrected to another one. A death may have served as evidence for one that is no longer confirmed. An
# identity change may have been accepted while no place of one of the two persons was known.
_TESTED_WITHOUT_PLACE: Final = (*PLACE_KINDS, "identity_change")
_ALWAYS_TESTED: Final = (*PLACE_KINDS, "death", "identity_change")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The data of the rule.

    `others`: treatment of each kind when the source does not belong. `strict`: kinds for which a place vouched by
    silence is not enough; two officers decide them. `closing_days`: see `places.judge`. `silence_working_days`: after
    this time without an objection, a claimed place is vouched by silence. `evidence_days`: the most days between a
    waiting death and the confirmed death that it supports. `hint_days`: a hint ends after this time.
    `refuted_deaths_max`: after so many refuted deaths of one person, a source raises no suspicion of that person.
    `group_events_max`: more waiting events of one source, kind and day become one case. `case_days`: after this time
    the next area above becomes the owner of a case."""

    others: dict[str, Treatment]
    strict: frozenset[str]
    closing_days: int
    silence_working_days: int
    evidence_days: int
    refuted_deaths_max: int
    hint_days: int
    group_events_max: int
    case_days: int


class Verdict(NamedTuple):
    """The result for a chain. `counts_as`: its standing, which says how far it counts. `reason`: the quarantine code if
    it waits or its source has withdrawn it."""

    counts_as: Standing
    reason: str | None = None

    @property
    def waits(self) -> bool:
        """Whether the chain waits, and its source has not withdrawn it."""
        return self.reason is not None and self.reason != WITHDRAWN

    @property
    def counts_less(self) -> bool:
        """Whether the chain counts, but not fully."""
        return self.reason is None and self.counts_as != "full"


class Outcome(NamedTuple):
    """The result for a person. `verdicts`, `places`: by chain. `doubts`: the last statement of each waiting identity
    change.

    `retest`: chains that counted already were tested, too. This happens if a first place or a first hukou has become
    known, if a vouched place is lost, or if the caller asks for it; but never without a vouched place."""

    standing: StandingState
    verdicts: dict[str, Verdict]
    places: dict[str, Place]
    retest: bool
    doubts: list[Statement]

    def counts(self, chain: str) -> bool:
        return self.verdicts[chain].counts_as not in NOT_COUNTED

    def counting_as(self, standing: Standing) -> list[str]:
        """The chains with this standing."""
        return [chain for chain, verdict in self.verdicts.items() if verdict.counts_as == standing]

    @property
    def claimed_places(self) -> list[Place]:
        """The places that are only claimed."""
        return [self.places[chain] for chain in self.counting_as("claimed") if chain in self.places]

    @property
    def counting_less(self) -> dict[str, Standing]:
        """The standing of each chain that counts, but not fully."""
        return {chain: verdict.counts_as for chain, verdict in self.verdicts.items() if verdict.counts_less}


FULL: Final = Verdict("full")
_VERDICTS: Final[dict[PlaceState, Verdict]] = {
    "vouched": FULL,
    "silent": FULL,
    "claimed": Verdict("claimed"),
    "outside": Verdict("withheld", "registered_elsewhere"),
}


class Identities(NamedTuple):
    """Vouched divisions of other identities of the judged person. `mates`: of the persons that are the same human now.

    `vouched_before(person, chain, own)`: of all who were the same human as the person before the identity change
    `chain`. Person None is the judged person. `own`: the vouched divisions of the judged person."""

    mates: frozenset[str]
    vouched_before: Callable[[str | None, str, frozenset[str]], frozenset[str]]


@dataclass
class StandingJudge:
    """Judges all chains of one person at once. `retest`: also test chains that count already."""

    rules: Rules
    standing: StandingState
    chains: Sequence[Chain]
    today: date
    identities: Identities
    retest: bool = False
    granted: list[str] = field(default_factory=list, init=False)  # chains that a grant has admitted

    def __post_init__(self) -> None:
        self._places = _places(self.chains, self.standing)
        self._judged = judge(list(self._places.values()), self.rules.closing_days, self.identities.mates)
        self._any_vouched = bool(self._judged.strong or self._judged.weak)
        self._own = [p for p in self._places.values() if self._judged.states[p.chain] == "vouched"]
        self._own_divisions = frozenset(p.division for p in self._own)

    def decide(self) -> Outcome:
        """Return the verdicts on all chains, the places, and the new state of the person."""
        retest = self._any_vouched and self._needs_retest()
        verdicts = {c.chain: self._verdict(c, retest) for c in self.chains}
        verdicts |= self._evidence(verdicts)
        doubts = [c.last for c in self.chains if c.kind == "identity_change" and verdicts[c.chain].waits]
        return Outcome(self._new_state(verdicts), verdicts, self._places, retest, doubts)

    def _needs_retest(self) -> bool:
        rank = self._judged.seed_rank
        first_place = self.standing.seed == 0 or (self.standing.seed == 1 and rank == 2)
        return self.retest or first_place or self._has_lost_a_place()

    def _has_lost_a_place(self) -> bool:
        """Whether a place is no longer vouched, or no longer vouched by silence."""
        now, before = self._judged, self.standing
        return not (now.strong.issuperset(before.strong) and now.weak.issuperset(before.weak))

    def _new_state(self, verdicts: Mapping[str, Verdict]) -> StandingState:
        weak = self._judged.weak - self._judged.strong
        counts_less = any(v.counts_less for v in verdicts.values())
        return replace(
            self.standing,
            strong=tuple(sorted(self._own_divisions)),
            weak=tuple(sorted(weak)),
            seed=self._judged.seed_rank,
            special=bool(self.standing.is_decided or counts_less or weak),
            home=self._home(),
            exempt=(*self.standing.exempt, *self.granted),  # they stay when the grant has run out
        )

    def _home(self) -> str | None:
        """The county of the newest vouched hukou or, without one, of the newest vouched residence."""
        candidates = [p for p in self._own if p.hukou] or self._own
        return county_of(candidates[-1].division) if candidates else None

    # ── one chain ───────────────────────────────────────────────────────────────────────────────────────────

    def _verdict(self, chain: Chain, retest: bool) -> Verdict:
        """The verdict on a chain. Without `retest`, a chain that counts already never begins to wait, except for kinds
        in _ALWAYS_TESTED."""
        found = self._test(chain)
        if found.reason is None:
            return found
        if chain.applied and not retest and chain.kind not in _ALWAYS_TESTED:
            return FULL  # its source belonged when it was accepted
        return Verdict("withheld", WITHDRAWN) if chain.annulled else found

    def _test(self, chain: Chain) -> Verdict:
        """The verdict on a chain as if it arrived now. Without a vouched place, only places and identity changes are
        tested: the other person of an identity change may have one."""
        if not self._any_vouched and chain.kind not in _TESTED_WITHOUT_PLACE:
            return FULL
        state = self._judged.states.get(chain.chain)
        if state is not None:
            return _VERDICTS[state]
        if has_objection(self.standing, chain.chain):
            return Verdict("withheld", "place_objected")
        return FULL if self._is_admitted(chain) else self._not_admitted(chain)

    def _not_admitted(self, chain: Chain) -> Verdict:
        if self.rules.others[chain.kind] == "hint":
            return Verdict("hint")
        by_silence = self._is_strict(chain) and belongs(chain.source, self._judged.weak)
        return Verdict("withheld", "standing_by_silence" if by_silence else "source_not_of_person")

    def _is_strict(self, chain: Chain) -> bool:
        """Whether a place vouched by silence is not enough."""
        return chain.kind in self.rules.strict

    def _is_admitted(self, chain: Chain) -> bool:
        """Whether the source belongs, or officers have admitted the chain."""
        if chain.chain in self.standing.exempt or self._source_may(chain):
            return True
        granted = self._is_granted(chain)
        if granted:
            self.granted.append(chain.chain)
        return granted

    def _is_granted(self, chain: Chain) -> bool:
        return self.standing.granted(chain.source, chain.kind, self.today) and self._may_name_other(chain)

    def _source_may(self, chain: Chain) -> bool:
        """Whether the source belongs, as strictly as the kind demands it. If the person has no vouched place, every
        source may; an identity change is tested for both persons."""
        if chain.kind == "identity_change":
            return self._may_link(chain)
        if not self._any_vouched:
            return True
        if belongs(chain.source, self._judged.strong):
            return True
        return not self._is_strict(chain) and belongs(chain.source, self._judged.weak)

    # ── identity changes ────────────────────────────────────────────────────────────────────────────────────

    def _may_link(self, chain: Chain) -> bool:
        """Whether the source belongs to both persons of an identity change. A person without a vouched place is no
        obstacle. Places that the change itself or a later change has added do not matter."""
        return self._belongs_before(chain, None) and self._may_name_other(chain)

    def _belongs_before(self, chain: Chain, person_id: str | None) -> bool:
        """Whether the source of an identity change belonged to a person before it, or the person had no vouched place.

        None: the judged person."""
        vouched = self.identities.vouched_before(person_id, chain.chain, self._own_divisions)
        return not vouched or belongs(chain.source, vouched)

    def _may_name_other(self, chain: Chain) -> bool:
        """Whether a source belongs to the other person of an identity change, or that person has no vouched place."""
        value = chain.last.value
        if not isinstance(value, IdentityChange):
            return True
        return self._belongs_before(chain, value.same_as)

    # ── deaths ──────────────────────────────────────────────────────────────────────────────────────────────

    def _evidence(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """The verdicts, by chain, on waiting deaths that count as evidence because sources that belong confirmed the
        death."""
        waiting = [c for c in self.chains if c.kind == "death" and verdicts[c.chain].waits]
        dead = self._confirmed_death(verdicts) if waiting else None
        if dead is None:
            return {}
        return {c.chain: FULL for c in waiting if self._supports(c.last.valid_from, dead)}

    def _supports(self, day: date | None, dead: Deceased) -> bool:
        """Whether a death on this day is evidence for the confirmed one."""
        return day is not None and abs(day - dead.on) <= timedelta(days=self.rules.evidence_days)

    def _confirmed_death(self, verdicts: Mapping[str, Verdict]) -> Deceased | None:
        counting = [c for c in self.chains if verdicts[c.chain].reason is None]
        stated = [replace(s, standing=()) for c in counting for s in c.statements]
        found = death_of(facts_known_at(stated))
        return found if isinstance(found, Deceased) else None


def _places(chains: Sequence[Chain], standing: StandingState) -> dict[str, Place]:
    """The place that each chain states now, by chain."""
    found = {}
    for chain in chains:
        place = place_of(chain, standing)
        if place is not None:
            found[chain.chain] = place
    return found
