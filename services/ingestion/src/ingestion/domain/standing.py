"""Which source may state what about whom. Pure; the rule is in docs/standing.md, its data in contracts/sources.yaml.

A source *belongs* to a person if its areas contain a vouched place of that person. What a source states that does not
belong waits, or counts less: a place is claimed, a stay or an incident is a hint, a death is a suspicion.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from common.events.facts import Registration, Residence, Standing, Statement
from rules.timeline import Deceased, death_of, facts_known_at

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import Judged, Place, Ruling, belongs, county_of, judge, located
from ingestion.domain.pushed import Source
from ingestion.domain.stands import Stands

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
    learnt: datetime

    @property
    def last(self) -> Statement:
        """The word that gives the value: an `ended` only closes its period."""
        told = [w for w in self.words if w.action != "ended"]
        return told[-1] if told else self.words[-1]

    @property
    def annulled(self) -> bool:
        return self.last.action == "annulled"


class Verdict(NamedTuple):
    """What becomes of a chain: it counts `as_` this, or it waits for the `reason` (a quarantine code)."""

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
# A place may be corrected to another one; a death may have been taken as evidence for one that is no longer confirmed.
_ALWAYS_TESTED: Final = (*PLACE_KINDS, "death")


def chains_of(
    statements: Iterable[Statement], fresh: Mapping[str, datetime], stands: Stands, sources: Mapping[str, Source]
) -> list[Chain]:
    """The chains that sources have begun about one person, in the order in which they were learnt. `fresh`: events
    that do not count yet, with the instant at which they arrived. Copies through a household are left out."""
    own = {o.chain for o in stands.own}
    words: dict[str, list[Statement]] = {}
    for s in statements:
        if s.chain not in own and s.via is None and s.kind != "household" and s.source in sources:
            words.setdefault(s.chain, []).append(s)
    found = []
    for chain, said in words.items():
        applied = [s for s in said if s.event_id not in fresh and s.standing_at() not in ("waits", "withheld")]
        learnt = min(fresh.get(s.event_id, s.recorded_at) for s in said)
        found.append(Chain(chain, said[0].kind, sources[said[0].source], tuple(said), bool(applied), learnt))
    found.sort(key=lambda c: c.learnt)  # stable: of one instant in the order of arrival
    return found


def place_of(chain: Chain, stands: Stands) -> Place | None:
    """The place that a chain states now; None if it states none, or if an objection has removed it."""
    value = chain.last.value
    if chain.annulled or not isinstance(value, Registration | Residence):
        return None
    code = value.hukou_division if isinstance(value, Registration) else value.division
    if code is None:
        return None
    division = located(code, chain.source)
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
        "confirmed" if chain.chain in stands.exempt else ruling,
    )


class Assembly:
    """Judges all chains of one person at once. `mates`: vouched divisions of other identities of the same human;
    `other_may`: whether a source may speak of the other person that an identity change names."""

    def __init__(
        self,
        rules: Rules,
        stands: Stands,
        chains: Sequence[Chain],
        today: date,
        mates: frozenset[str] = frozenset(),
        other_may: Callable[[Source, str], bool] = lambda source, person_id: True,
    ) -> None:
        self._rules, self._today, self._other_may = rules, today, other_may
        self._before, self._chains, self._mates = stands, chains, mates
        self._places = [p for c in chains if (p := place_of(c, stands)) is not None]

    def judge(self) -> Outcome:
        judged = judge(self._places, self._rules.closing_days, self._mates)
        seed = 2 if judged.seed_is_hukou else 1 if judged.seed else 0
        stands = msgspec.structs.replace(
            self._before,
            strong=tuple(sorted(judged.strong - self._mates)),
            weak=tuple(sorted(judged.weak - judged.strong)),
            seed=seed,
        )
        test = bool(judged.strong or judged.weak)
        retest = test and (
            self._before.seed == 0
            or (self._before.seed == 1 and seed == 2)
            or not set(self._before.strong) <= judged.strong
        )
        verdicts = {c.chain: self._verdict(c, judged, stands, test, retest) for c in self._chains}
        verdicts |= self._evidence(verdicts)
        special = bool(stands.decided or stands.exempt or stands.grants or stands.own) or any(
            v.as_ in ("claimed", "hint") for v in verdicts.values()
        )
        places = {p.chain: p for p in self._places}
        stands = msgspec.structs.replace(stands, special=special or bool(stands.weak), home=self._home(judged))
        return Outcome(stands, verdicts, places, retest)

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
        full = msgspec.structs.replace(stands, strong=tuple(judged.strong), weak=tuple(judged.weak))
        if full.may(chain.source, chain.kind, strict, self._today) and self._may_join(chain):
            return FULL
        if self._rules.others[chain.kind] == "hint":
            return Verdict("hint")
        silent = strict and belongs(chain.source, judged.weak)
        return Verdict("withheld", "standing_by_silence" if silent else "source_not_of_person")

    def _may_join(self, chain: Chain) -> bool:
        """An identity change is tested for both persons."""
        if chain.kind != "identity_change":
            return True
        value = chain.last.value
        return value is None or self._other_may(chain.source, value.same_as)  # type: ignore[union-attr]

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
