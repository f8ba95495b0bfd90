"""The tables. Inputs are stored as received, so that any decision can be computed again and explained."""

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
    """One person with the newest inputs and the newest decision.

    `version`: of the decision (0: none yet). `decision`: the JSON of `EntitlementsDecided` without causes, as at the
    head of the topic. `traits`: everything by which lists can distinguish this person (`rules.deciding.traits`); NULL
    if no list can decide anything. `policy_digest`: the set of lists that decided; a newer set in force may leave the
    decision unchanged. `merged_into`: the surviving person. `others`: JSON of the inputs stored under other identities
    of the same human. `next_edge_on`: the first day whose starts and ends are not emitted yet.
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
    """One decision, never changed afterwards. `said`: JSON of `EntitlementsDecided` with the intervals of the changed
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
    """An adverse decision whose reasons are not written down yet. `adverse`: JSON array of
    `identification.deciding.domain.adverse.Adverse`, one per item. `failed_at`: when the explanation failed."""

    __tablename__ = "unexplained"
    __table_args__ = _SCHEMA

    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    version: int = Field(sa_type=Integer, primary_key=True)
    adverse: bytes = Field(sa_type=LargeBinary)
    failed_at: datetime | None = Field(sa_type=_INSTANT, default=None)


class AdverseRow(SQLModel, table=True):
    """One item that a decision withholds, with the reasons of that day, never changed afterwards. `explanation`: JSON
    of `rules.words.explain.Explanation`."""

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
    """One version of an area's list; `version` is the digest of its content.

    `state`: proposed → approved → published (→ halted). A replaced or halted list may be proposed again. `approvals`:
    JSON `[{"by", "at", "simulation_id"}]`.
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
    """The version of an area's files under `contracts/policy` at the last start of a service."""

    __tablename__ = "seeded_lists"
    __table_args__ = _SCHEMA

    jurisdiction: str = Field(sa_type=Text, primary_key=True)
    version: str = Field(sa_type=Text)
    seen_at: datetime = Field(sa_type=_INSTANT)


class PublicationRow(SQLModel, table=True):
    """A publication. Rows are appended; the newest row of an area names the list in force there.

    A row without an area changes the coverage instead: `coverage` is JSON of feeds by division (null: withdrawn).
    `running_digest`: of all lists and the coverage in force after it.

    Progress of deciding again: `people_touched` people are found, up to the traits `selected_after`; all of them at
    `selected_at`. `people` of them are decided and `people_changed` have another decision, set at `redecided_at`; until
    then `redecisions` holds the counts.

    `watched`: the effect is still compared with the simulation `simulation_id`, within `band` (JSON of
    `band.Tolerance`).
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
    """The last declaration of a division. `said`: JSON of the received `CoverageDeclared`; `event_id`: its id.
    `applied`: it is in force (`PublicationRow.coverage`)."""

    __tablename__ = "coverages"
    __table_args__ = _SCHEMA

    division: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(sa_type=Integer)
    said: bytes = Field(sa_type=LargeBinary)
    event_id: str = Field(sa_type=UUID(as_uuid=False))
    applied: bool = Field(sa_type=Boolean, default=False)


class RedecisionRow(SQLModel, table=True):
    """A part of the people whom a publication may touch. `people_ids` are still to be decided again; `people` are done,
    and `people_changed` of them have another decision."""

    __tablename__ = "redecisions"
    __table_args__ = _SCHEMA

    part: int = Field(sa_type=BigInteger, primary_key=True)
    publication: int = Field(sa_type=BigInteger)
    people_ids: list[str] = Field(sa_column=Column(ARRAY(UUID(as_uuid=False)), nullable=False))
    people: int = Field(sa_type=Integer)
    people_changed: int = Field(sa_type=Integer)


class SimulationRow(SQLModel, table=True):
    """The effect of a list of `jurisdiction`, compared with the lists in force after publication `base_seq`.

    `basis`: digest of the lists that decide the area's people; the simulation is valid while it is the same.
    `known_at`: inputs recorded later are left out, so that a long run reads one state. `replayed`: the request named an
    earlier instant. `settled`: nobody was still to be decided again, so the stored decisions are those of the lists in
    force. `result`: JSON of `rules.money.tallies.Stored` of the finished chunks.
    """

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
    """The people with ids above `after_id` up to `upto_id` (None: without bound). `people`: number of people counted
    (None: not done yet)."""

    __tablename__ = "simulation_chunks"
    __table_args__ = _SCHEMA

    simulation_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    n: int = Field(sa_type=Integer, primary_key=True)
    after_id: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    upto_id: str | None = Field(sa_type=UUID(as_uuid=False), default=None)
    people: int | None = Field(sa_type=Integer, default=None)


class SimulatedChangeRow(SQLModel, table=True):
    """A person whose decision the simulated list changes. `fen`: more or less money over the window."""

    __tablename__ = "simulated_changes"
    __table_args__ = _SCHEMA

    simulation_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    fen: int = Field(sa_type=BigInteger)


class WatchedStepRow(SQLModel, table=True):
    """The effect of one step of deciding again, and the simulated effect on the same people."""

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
