"""Which source may state what about whom. Pure; the rule is in docs/standing.md, its data in contracts/sources.yaml.

A source *belongs* to a person if its areas contain a vouched place of that person. An event of a source that does not
belong waits, or counts less: a place is claimed, a stay or an incident is a hint, a death is a suspicion.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from common.events.facts import IdentityChange, Registration, Residence, Standing, Statement
from rules.facts.death import Deceased, death_of
from rules.facts.timeline import facts_known_at

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.memory import Stands
from ingestion.domain.places import Judged, Place, Ruling, belongs, county_of, judge, located
from ingestion.domain.pushed import Source

Treatment = Literal["claim", "wait", "members", "suspect", "hint"]
PLACE_KINDS: Final = ("registration", "residence")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """`others`: what becomes of a kind whose source does not belong to the person. `strict`: kinds for which a place
    vouched by silence does not suffice; two officers decide them. `evidence_days`: how far a waiting death may lie
    from the confirmed one that it then supports. `hint_days`: after so many days a hint ends by itself.
    `refuted_deaths_max`: after so many refuted deaths of one person, a source raises no suspicion of that person.
    `group_events_max`: above so many waiting events of a source, kind and day, they are one case."""

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
    """All statements of one chain in their order. `root`: its first event; `applied`: it counts already."""

    chain: str
    kind: str
    source: Source
    words: tuple[Statement, ...]
    applied: bool
    arrived: datetime

    @property
    def last(self) -> Statement:
        """The word that gives the value: an `ended` only closes its period."""
        told = [w for w in self.words if w.action != "ended"]
        return told[-1] if told else self.words[-1]

    @property
    def annulled(self) -> bool:
        return self.last.action == "annulled"


class Verdict(NamedTuple):
    """The result for a chain: it counts `as_` this, or it waits for the `reason` (a quarantine code)."""

    as_: Standing
    reason: str | None = None


class Outcome(NamedTuple):
    """`places`: by chain. `retest`: what was taken before is tested, too, since less is vouched than before, or since
    the first place is known only now."""

    stands: Stands
    verdicts: dict[str, Verdict]
    places: dict[str, Place]
    retest: bool


FULL: Final = Verdict("full")
NOT_COUNTED: Final = ("waits", "withheld")
# A place may be corrected to another one; a death may have been taken as evidence for one that is no longer confirmed;
# an identity change may have been taken while no place of one of the two persons was known.
_ALWAYS_TESTED: Final = (*PLACE_KINDS, "death", "identity_change")


def chains_of(
    statements: Iterable[Statement], fresh: Mapping[str, datetime], stands: Stands, sources: Mapping[str, Source]
) -> list[Chain]:
    """The chains that sources have begun about one person, in the order in which they were learnt. `fresh`: events
    that do not count yet, with the instant at which they arrived. Copies through a household are left out, and events
    that neither count nor wait: officers have discarded them."""
    own = {o.chain for o in stands.own}
    words: dict[str, list[Statement]] = {}
    for s in statements:
        judged = s.event_id in fresh or s.standing_at() not in NOT_COUNTED
        if judged and s.chain not in own and s.via is None and s.kind != "household" and s.source in sources:
            words.setdefault(s.chain, []).append(s)
    found = []
    for chain, said in words.items():
        applied = [s for s in said if s.event_id not in fresh]
        arrived = min(fresh.get(s.event_id, s.recorded_at) for s in said)
        found.append(Chain(chain, said[0].kind, sources[said[0].source], tuple(said), bool(applied), arrived))
    # Chains that begin to count together are taken in the order of their arrival, as their statements are kept.
    found.sort(key=lambda c: (_learnt(c), c.arrived))
    return found


def _learnt(chain: Chain) -> datetime:
    """When the chain first counted. The time for which it waited before is not looked at: a place that could not be
    taken must not come before the first one that could."""
    return min(w.recorded_at for w in chain.words)


def _division_of(word: Statement, source: Source) -> str | None:
    """The resolved division that a word states, if it states a place."""
    value = word.value
    if not isinstance(value, Registration | Residence):
        return None
    code = value.hukou_division if isinstance(value, Registration) else value.division
    return located(code, source) if code is not None else None


def place_of(chain: Chain, stands: Stands) -> Place | None:
    """The place that a chain states now; None if it states none, or if an objection has removed it."""
    value = chain.last.value
    if chain.annulled or not isinstance(value, Registration | Residence):
        return None
    division = _division_of(chain.last, chain.source)
    if division is None:
        return None
    ruling: Ruling | None = None
    for decided in stands.decided:
        if decided.chain == chain.chain and decided.outcome == "objected":
            return None
        if decided.chain == chain.chain and decided.division == division and decided.outcome != "objected":
            ruling = decided.outcome
    ended = [w.valid_to for w in chain.words if w.action == "ended"]
    closed_on = ended[-1] if ended else chain.last.valid_to
    return Place(
        chain.chain,
        isinstance(value, Registration),
        division,
        chain.source,
        chain.last.valid_from,
        closed_on,
        ruling,
    )


class Assembly:
    """Judges all chains of one person at once. `mates`: vouched divisions of other identities of the same human.
    `beside`: by person and chain, the vouched divisions of the person (None: of the one judged, without its own) and
    of those who are the same human without this identity change. `retest`: test what was taken before, too."""

    def __init__(
        self,
        rules: Rules,
        stands: Stands,
        chains: Sequence[Chain],
        today: date,
        mates: frozenset[str] = frozenset(),
        beside: Callable[[str | None, str], frozenset[str]] = lambda person_id, chain: frozenset(),
        retest: bool = False,
    ) -> None:
        self._rules, self._today, self._beside, self._retest = rules, today, beside, retest
        self._granted: list[str] = []
        self._before, self._chains, self._mates = stands, chains, mates
        self._places = [p for c in chains if (p := place_of(c, stands)) is not None]

    def judge(self) -> Outcome:
        judged = judge(self._places, self._rules.closing_days, self._mates)
        seed = 2 if judged.seed_is_hukou else 1 if judged.seed else 0
        stands = msgspec.structs.replace(
            self._before,
            strong=tuple(sorted(self._own_of(judged))),
            weak=tuple(sorted(judged.weak - judged.strong)),
            seed=seed,
        )
        test = bool(judged.strong or judged.weak)
        retest = test and (
            self._retest
            or self._before.seed == 0
            or (self._before.seed == 1 and seed == 2)
            or not set(self._before.strong) <= judged.strong
        )
        verdicts = {c.chain: self._verdict(c, judged, stands, test, retest) for c in self._chains}
        verdicts |= self._evidence(verdicts)
        special = bool(stands.decided or stands.exempt or stands.grants or stands.own) or any(
            v.as_ in ("claimed", "hint") for v in verdicts.values()
        )
        places = {p.chain: p for p in self._places}
        exempt = (*stands.exempt, *self._granted)  # what a grant has let in stays when the grant has run out
        stands = msgspec.structs.replace(
            stands, special=special or bool(stands.weak), home=self._home(judged), exempt=exempt
        )
        return Outcome(stands, verdicts, places, retest)

    def _own_of(self, judged: Judged) -> frozenset[str]:
        """Vouched divisions of this person's own places."""
        return frozenset(p.division for p in self._places if judged.states[p.chain] == "vouched")

    def _home(self, judged: Judged) -> str | None:
        vouched = [p for p in self._places if judged.states[p.chain] == "vouched"]
        hukou = [p for p in vouched if p.hukou] or vouched
        return county_of(hukou[-1].division) if hukou else None

    def _verdict(self, chain: Chain, judged: Judged, stands: Stands, test: bool, retest: bool) -> Verdict:
        found = self._tested(chain, judged, stands) if test or chain.kind in PLACE_KINDS else FULL
        if found.reason is None:
            return found
        if chain.applied and not retest and chain.kind not in _ALWAYS_TESTED:
            return FULL  # it was taken when its source belonged
        return Verdict("withheld", WITHDRAWN) if chain.annulled else found

    def _tested(self, chain: Chain, judged: Judged, stands: Stands) -> Verdict:
        state = judged.states.get(chain.chain)
        if state is not None:
            if state == "outside":
                return Verdict("withheld", "registered_elsewhere")
            return Verdict("claimed") if state == "claimed" else FULL
        if any(d.chain == chain.chain and d.outcome == "objected" for d in stands.decided):
            return Verdict("withheld", "place_objected")
        if chain.chain in stands.exempt or not (judged.strong or judged.weak):
            return FULL
        strict = chain.kind in self._rules.strict
        may = belongs(chain.source, judged.strong) or (not strict and belongs(chain.source, judged.weak))
        if chain.kind == "identity_change":
            may = self._may_join(chain, judged)
        if may:
            return FULL
        if stands.granted(chain.source, chain.kind, self._today) and self._may_reach_other(chain):
            self._granted.append(chain.chain)
            return FULL
        if self._rules.others[chain.kind] == "hint":
            return Verdict("hint")
        silent = strict and belongs(chain.source, judged.weak)
        return Verdict("withheld", "standing_by_silence" if silent else "source_not_of_person")

    def _may_join(self, chain: Chain, judged: Judged) -> bool:
        """An identity change is tested for both persons, without the places that it has itself brought together."""
        vouched = self._own_of(judged) | self._beside(None, chain.chain)
        return (not vouched or belongs(chain.source, vouched)) and self._may_reach_other(chain)

    def _may_reach_other(self, chain: Chain) -> bool:
        """Whether a source belongs to the other person of an identity change, or no place of that one is known."""
        if not isinstance(chain.last.value, IdentityChange):
            return True
        vouched = self._beside(chain.last.value.same_as, chain.chain)
        return not vouched or belongs(chain.source, vouched)

    def _evidence(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """Deaths that wait and are confirmed by sources that belong are taken as evidence."""
        waiting = [c for c in self._chains if c.kind == "death" and verdicts[c.chain].reason not in (None, WITHDRAWN)]
        if not waiting:
            return {}
        counting = [s for c in self._chains if verdicts[c.chain].reason is None for s in c.words]
        dead = death_of(facts_known_at([msgspec.structs.replace(s, standing=()) for s in counting]))
        if not isinstance(dead, Deceased):
            return {}
        span = timedelta(days=self._rules.evidence_days)
        days = {c.chain: c.last.valid_from for c in waiting}
        return {chain: FULL for chain, day in days.items() if day is not None and abs(day - dead.on) <= span}
