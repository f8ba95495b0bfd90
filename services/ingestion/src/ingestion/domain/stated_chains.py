"""Reads chains of statements for the rule of standing: their places, sources and objections.

A *chain* is a statement and all later statements that correct, annul or end it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple, Self

from common.events.facts import Registration, Residence, Statement, Value

from ingestion.domain.places import Place, Ruling, located
from ingestion.domain.pushed import Source
from ingestion.domain.standing_state import StandingState

Sources = Mapping[str, Source]
Arrivals = Mapping[str, datetime]  # of events that do not count yet, by event id
PLACE_KINDS: Final = ("registration", "residence")
NOT_COUNTED: Final = ("waits", "withheld")


class Chain(NamedTuple):
    """All statements of one chain in their order. `chain`: id of its first event. `applied`: it counts already.
    `arrived`: the earliest arrival of its events."""

    chain: str
    kind: str
    source: Source
    statements: tuple[Statement, ...]
    applied: bool
    arrived: datetime

    @classmethod
    def of(cls, stated: Sequence[Statement], fresh: Mapping[str, datetime], sources: Mapping[str, Source]) -> Self:
        """Build a chain from its statements. `fresh`: see `chains_of`. `sources`: by URN."""
        first = stated[0]
        applied = any(s.event_id not in fresh for s in stated)
        arrived = min(fresh.get(s.event_id, s.recorded_at) for s in stated)
        return cls(first.chain, first.kind, sources[first.source], tuple(stated), applied, arrived)

    @property
    def last(self) -> Statement:
        """The statement that gives the value: the last one that is not `ended`. An `ended` only closes its period."""
        valued = [s for s in self.statements if s.action != "ended"]
        return valued[-1] if valued else self.statements[-1]

    @property
    def annulled(self) -> bool:
        return self.last.action == "annulled"

    @property
    def closed_on(self) -> date | None:
        """The first day after the period of the value; None if its source named no end."""
        ended = [s.valid_to for s in self.statements if s.action == "ended"]
        return ended[-1] if ended else self.last.valid_to

    @property
    def learnt_at(self) -> datetime:
        """The instant from which the chain counted. Time of waiting before it does not matter for the order of
        places."""
        return min(s.recorded_at for s in self.statements)


def chains_of(
    statements: Iterable[Statement], fresh: Arrivals, standing: StandingState, sources: Sources
) -> list[Chain]:
    """The chains that sources have begun about one person, in the order in which they were learnt.

    `fresh`: the arrivals of events that do not count yet. Copies through a household are left out, and also events that
    neither count nor wait, because officers have discarded them."""
    own = {o.chain for o in standing.own}
    by_chain: dict[str, list[Statement]] = {}
    for s in statements:
        if s.chain not in own and s.source in sources and is_of_source(s) and _counts_or_waits(s, fresh):
            by_chain.setdefault(s.chain, []).append(s)
    found = [Chain.of(stated, fresh, sources) for stated in by_chain.values()]
    # Chains that begin to count together are judged in the order of their arrival, as their statements are stored.
    return sorted(found, key=lambda c: (c.learnt_at, c.arrived))


def _counts_or_waits(statement: Statement, fresh: Arrivals) -> bool:
    return statement.event_id in fresh or statement.standing_at() not in NOT_COUNTED


def is_of_source(statement: Statement) -> bool:
    """Whether a source made the statement about this person, and not about a household."""
    return statement.via is None and statement.kind != "household"


def place_of(chain: Chain, standing: StandingState) -> Place | None:
    """The place that a chain states now; None if it states none, or if an objection has removed it."""
    division = _division_of(chain)
    if division is None or has_objection(standing, chain.chain):
        return None
    hukou, ruling = chain.kind == "registration", _ruling_on(standing, chain.chain, division)
    return Place(chain.chain, hukou, division, chain.source, chain.last.valid_from, chain.closed_on, ruling)


def _division_of(chain: Chain) -> str | None:
    """The resolved division of a place; None for other chains and for a person without a hukou."""
    code = _code_of(chain.last.value) if not chain.annulled else None
    return located(code, chain.source) if code is not None else None


def _code_of(value: Value | None) -> str | None:
    if isinstance(value, Residence):
        return value.division
    return value.hukou_division if isinstance(value, Registration) else None


def has_objection(standing: StandingState, chain: str) -> bool:
    """Whether the county left has objected to the place of a chain."""
    return any(r.chain == chain and r.outcome == "objected" for r in standing.rulings)


def _ruling_on(standing: StandingState, chain: str, division: str) -> Ruling | None:
    """The newest decision that vouches for the place of a chain: confirmed by officers, or by silence."""
    ruling: Ruling | None = None
    for r in standing.rulings:
        if r.is_about(chain, division) and r.outcome != "objected":
            ruling = r.outcome
    return ruling
