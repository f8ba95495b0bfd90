"""What is stored. Inputs are kept as they came, so that any decision can be computed again and explained."""

from datetime import date, datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "identification"}
_INSTANT = DateTime(timezone=True)


class PersonRow(SQLModel, table=True):
    """One person: newest inputs and newest decision. `version` is that of the decision (0: none yet), and
    `decision` the exact JSON of its `EntitlementsDecided` without causes: the head of the topic.

    `traits`: what a list can tell this person by (`rules.deciding.traits`); NULL where no list has anything to decide.
    `policy_digest`: the set of lists that decided. Newer ones may be in force that leave the decision as it is.
    `merged_into`: who decides for this person; `others`: JSON of what is kept under other identities of the same human.
    `next_edge_on`: the first day whose beginnings and ends are still to be told.
    """

    __tablename__ = "persons"
    __table_args__ = _SCHEMA

    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    version: int = Field(sa_type=Integer)
    facts_version: int = Field(sa_type=Integer)
    abilities_version: int = Field(sa_type=Integer)
    recorded_at: datetime = Field(sa_type=_INSTANT)
    residence: str | None = Field(sa_type=Text, default=None)
    hukou: str | None = Field(sa_type=Text, default=None)
    traits: str | None = Field(sa_type=Text, default=None)
    next_edge_on: date | None = Field(sa_type=Date, default=None)
    policy_digest: str = Field(sa_type=Text, default="")
    facts: bytes | None = Field(sa_type=LargeBinary, default=None)
    abilities: bytes | None = Field(sa_type=LargeBinary, default=None)
    choices: bytes | None = Field(sa_type=LargeBinary, default=None)
    decision: bytes | None = Field(sa_type=LargeBinary, default=None)
    merged_into: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    others: bytes | None = Field(sa_type=LargeBinary, default=None)


class DecisionRow(SQLModel, table=True):
    """What a decision said anew, never changed afterwards: `EntitlementsDecided` with the intervals of the changed
    items only. The newest row per item up to a version gives the whole decision of that version."""

    __tablename__ = "decisions"
    __table_args__ = _SCHEMA

    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    version: int = Field(sa_type=Integer, primary_key=True)
    decided_at: datetime = Field(sa_type=_INSTANT)
    recorded_at: datetime = Field(sa_type=_INSTANT)
    facts_version: int = Field(sa_type=Integer)
    abilities_version: int = Field(sa_type=Integer)
    policy_digest: str = Field(sa_type=Text)
    said: bytes = Field(sa_type=LargeBinary)


class UnexplainedRow(SQLModel, table=True):
    """A decision that withholds something and whose reasons are not written down yet. `adverse`: JSON of
    `identification.deciding.domain.adverse.Adverse`, one for each item. `failed_at`: when they could not be."""

    __tablename__ = "unexplained"
    __table_args__ = _SCHEMA

    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    version: int = Field(sa_type=Integer, primary_key=True)
    adverse: bytes = Field(sa_type=LargeBinary)
    failed_at: datetime | None = Field(sa_type=_INSTANT, default=None)


class AdverseRow(SQLModel, table=True):
    """What a decision withholds, with the reasons as they were that day, never changed afterwards. `explanation`:
    JSON of `rules.words.explain.Explanation`."""

    __tablename__ = "adverse"
    __table_args__ = _SCHEMA

    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    version: int = Field(sa_type=Integer, primary_key=True)
    item: str = Field(sa_type=Text, primary_key=True)
    on_day: date = Field(sa_type=Date)
    outcome: str = Field(sa_type=Text)
    explained_at: datetime = Field(sa_type=_INSTANT)
    explanation: bytes = Field(sa_type=LargeBinary)


class PolicyRow(SQLModel, table=True):
    """One content of one area's list; `version` is its digest. `state`: proposed → approved → published (→ halted).

    `approvals`: JSON `[{"by", "at", "simulation_id"}]`. A list that was replaced or halted may be proposed again.
    """

    __tablename__ = "policies"
    __table_args__ = _SCHEMA

    version: str = Field(sa_type=Text, primary_key=True)
    jurisdiction: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    proposed_by: str = Field(sa_type=Text)
    proposed_at: datetime = Field(sa_type=_INSTANT)
    approvals: str = Field(sa_type=Text)
    list: bytes = Field(sa_type=LargeBinary)


class SeededListRow(SQLModel, table=True):
    """The content that the files of an area under `contracts/policy` had when a service last started."""

    __tablename__ = "seeded_lists"
    __table_args__ = _SCHEMA

    jurisdiction: str = Field(sa_type=Text, primary_key=True)
    version: str = Field(sa_type=Text)
    seen_at: datetime = Field(sa_type=_INSTANT)


class PublicationRow(SQLModel, table=True):
    """The running truth, append-only: the newest row of an area names the list in force there. A row without an area
    changes what is told where instead: `coverage`, JSON of the feeds of those divisions by code (null: withdrawn).

    `running_digest` names all lists in force, and what is told where, after it. The rest is how far the people it may
    touch were decided again: they are found (`people_touched`, up to the traits `selected_after`), and looked at
    (`redecisions`; `people`, `people_changed` at the end); and what it is held to (`watched`, while it is):
    `simulation_id` with the tolerance `band` (JSON of `band.Tolerance`).
    """

    __tablename__ = "publications"
    __table_args__ = _SCHEMA

    seq: int = Field(sa_type=BigInteger, primary_key=True)
    jurisdiction: str | None = Field(sa_type=Text, default=None)
    version: str | None = Field(sa_type=Text, default=None)
    coverage: bytes | None = Field(sa_type=LargeBinary, default=None)
    published_at: datetime = Field(sa_type=_INSTANT)
    published_by: str = Field(sa_type=Text)
    approved_by: str = Field(sa_type=Text)
    running_digest: str = Field(sa_type=Text)
    event_id: str = Field(sa_type=UUID(as_uuid=False))
    selected_after: str | None = Field(sa_type=Text, default=None)
    selected_at: datetime | None = Field(sa_type=_INSTANT, default=None)
    redecided_at: datetime | None = Field(sa_type=_INSTANT, default=None)
    people_touched: int = Field(sa_type=Integer, default=0)
    people: int = Field(sa_type=Integer, default=0)
    people_changed: int = Field(sa_type=Integer, default=0)
    simulation_id: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    band: str | None = Field(sa_type=Text, default=None)
    watched: bool = Field(sa_type=Boolean, default=False)
    halted_at: datetime | None = Field(sa_type=_INSTANT, default=None)
    halted_by: str | None = Field(sa_type=Text, default=None)
    halt_reason: str | None = Field(sa_type=Text, default=None)


class CoverageRow(SQLModel, table=True):
    """What was declared last of a division. `said`: the `CoverageDeclared` as it came, `event_id` its id; `applied`:
    decisions are made by it (`PublicationRow.coverage`)."""

    __tablename__ = "coverages"
    __table_args__ = _SCHEMA

    division: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(sa_type=Integer)
    said: bytes = Field(sa_type=LargeBinary)
    event_id: str = Field(sa_type=UUID(as_uuid=False))
    applied: bool = Field(sa_type=Boolean, default=False)


class RedecisionRow(SQLModel, table=True):
    """A part of the people whom a publication may touch: `people_ids` are still to be decided again, `people` were
    looked at, `people_changed` of them got another decision."""

    __tablename__ = "redecisions"
    __table_args__ = _SCHEMA

    part: int = Field(sa_type=BigInteger, primary_key=True)
    publication: int = Field(sa_type=BigInteger)
    people_ids: list[str] = Field(sa_column=Column(ARRAY(UUID(as_uuid=False)), nullable=False))
    people: int = Field(sa_type=Integer)
    people_changed: int = Field(sa_type=Integer)


class SimulationRow(SQLModel, table=True):
    """What a list of `jurisdiction` would do, held against the lists after publication `base_seq`.

    `basis`: names the lists that matter to the area's people; while it is the same the simulation counts.
    `known_at`: what was learnt later is left out, so that a run of any length reads one state; `replayed`: somebody
    asked for an earlier instant. `settled`: nobody was still to be decided again by the lists in force, so that stored
    decisions are theirs. `result`: JSON of `rules.money.tallies.Stored` over the chunks done so far."""

    __tablename__ = "simulations"
    __table_args__ = _SCHEMA

    simulation_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    jurisdiction: str = Field(sa_type=Text)
    version: str = Field(sa_type=Text)
    list: bytes = Field(sa_type=LargeBinary)
    basis: str = Field(sa_type=Text)
    base_seq: int = Field(sa_type=BigInteger)
    base_digest: str = Field(sa_type=Text)
    first_month: date = Field(sa_type=Date)
    months: int = Field(sa_type=SmallInteger)
    known_at: datetime = Field(sa_type=_INSTANT)
    replayed: bool = Field(sa_type=Boolean)
    settled: bool = Field(sa_type=Boolean)
    demo: bool = Field(sa_type=Boolean)
    state: str = Field(sa_type=Text)  # waiting | running | complete | failed
    fault: str | None = Field(sa_type=Text, default=None)
    requested_by: str = Field(sa_type=Text)
    requested_at: datetime = Field(sa_type=_INSTANT)
    completed_at: datetime | None = Field(sa_type=_INSTANT, default=None)
    chunks: int = Field(sa_type=Integer, default=0)
    chunks_done: int = Field(sa_type=Integer, default=0)
    people: int = Field(sa_type=BigInteger, default=0)
    result: bytes | None = Field(sa_type=LargeBinary, default=None)


class SimulationChunkRow(SQLModel, table=True):
    """The people with ids above `after_id` up to `upto_id` (None: from the first, to the last), and how many of them
    were looked at (None: not done yet)."""

    __tablename__ = "simulation_chunks"
    __table_args__ = _SCHEMA

    simulation_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    n: int = Field(sa_type=Integer, primary_key=True)
    after_id: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    upto_id: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    people: int | None = Field(sa_type=Integer, default=None)


class SimulatedChangeRow(SQLModel, table=True):
    """Somebody whose decision a list is to change; `fen`: what they get more or less over the window."""

    __tablename__ = "simulated_changes"
    __table_args__ = _SCHEMA

    simulation_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    fen: int = Field(sa_type=BigInteger)


class WatchedStepRow(SQLModel, table=True):
    """What one step of deciding again came to, beside what was simulated for the same people."""

    __tablename__ = "watched_steps"
    __table_args__ = _SCHEMA

    step: int | None = Field(sa_type=BigInteger, primary_key=True, default=None)
    publication: int = Field(sa_type=BigInteger)
    people_changed: int = Field(sa_type=BigInteger)
    raised_fen: int = Field(sa_type=BigInteger)
    cut_fen: int = Field(sa_type=BigInteger)
    people_simulated: int = Field(sa_type=BigInteger)
    raised_simulated_fen: int = Field(sa_type=BigInteger)
    cut_simulated_fen: int = Field(sa_type=BigInteger)
