"""What is stored. Inputs are kept as they came, so that any decision can be computed again and explained."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class PersonRow(SQLModel, table=True):
    """One person: newest inputs and newest decision. `version` is that of the decision (0: none yet), and
    `decision` the exact JSON of its `EntitlementsDecided` without causes: the head of the topic.

    `traits`: what a list can tell this person by (`rules.deciding.traits`); NULL where no list has anything to decide.
    `policy_digest`: the set of lists that decided. Newer ones may be in force that leave the decision as it is.
    `merged_into`: who decides for this person; `others`: JSON of what is kept under other identities of the same human.
    `next_edge_on`: the first day whose beginnings and ends are still to be told.
    """

    __tablename__ = "persons"
    __table_args__ = (
        CheckConstraint("abilities_version >= 0"),
        CheckConstraint("(version = 0) = (decision IS NULL)"),
        CheckConstraint("facts_version >= 0"),
        CheckConstraint("version >= 0"),
        Index("persons_next_edge", "next_edge_on", "person_id", postgresql_where=text("next_edge_on IS NOT NULL")),
        Index("persons_traits", "traits", "person_id", postgresql_where=text("traits IS NOT NULL")),
        {"schema": "identification"},
    )

    person_id: str = columns.uuid(key=True)
    version: int = columns.integer()
    facts_version: int = columns.integer()
    abilities_version: int = columns.integer()
    recorded_at: datetime = columns.instant()
    residence: str | None = columns.text(null=True)
    hukou: str | None = columns.text(null=True)
    traits: str | None = columns.byte_text(null=True)
    next_edge_on: date | None = columns.day(null=True)
    policy_digest: str = columns.text()
    facts: bytes | None = columns.blob(null=True)
    abilities: bytes | None = columns.blob(null=True)
    choices: bytes | None = columns.blob(null=True)
    decision: bytes | None = columns.blob(null=True)
    merged_into: str | None = columns.uuid(null=True)
    others: bytes | None = columns.blob(null=True)


class DecisionRow(SQLModel, table=True):
    """What a decision said anew, never changed afterwards: `EntitlementsDecided` with the intervals of the changed
    items only. The newest row per item up to a version gives the whole decision of that version."""

    __tablename__ = "decisions"
    __table_args__ = {"schema": "identification"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(key=True)
    decided_at: datetime = columns.instant()
    recorded_at: datetime = columns.instant()
    facts_version: int = columns.integer()
    abilities_version: int = columns.integer()
    policy_digest: str = columns.text()
    said: bytes = columns.blob()


class UnexplainedRow(SQLModel, table=True):
    """A decision that withholds something and whose reasons are not written down yet. `adverse`: JSON of
    `identification.deciding.domain.adverse.Adverse`, one for each item. `failed_at`: when they could not be."""

    __tablename__ = "unexplained"
    __table_args__ = {"schema": "identification"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(key=True)
    adverse: bytes = columns.blob()
    failed_at: datetime | None = columns.instant(null=True)


class AdverseRow(SQLModel, table=True):
    """What a decision withholds, with the reasons as they were that day, never changed afterwards. `explanation`:
    JSON of `rules.words.explain.Explanation`."""

    __tablename__ = "adverse"
    __table_args__ = (
        CheckConstraint("outcome IN ('refused', 'less', 'suppressed', 'choice_required', 'suspended')"),
        {"schema": "identification"},
    )

    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(key=True)
    item: str = columns.text(key=True)
    on_day: date = columns.day()
    outcome: str = columns.text()
    explained_at: datetime = columns.instant()
    explanation: bytes = columns.blob()


class PolicyRow(SQLModel, table=True):
    """One content of one area's list; `version` is its digest. `state`: proposed → approved → published (→ halted).

    `approvals`: JSON `[{"by", "at", "simulation_id"}]`. A list that was replaced or halted may be proposed again.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'published', 'halted')"),
        Index("policies_jurisdiction", "jurisdiction"),
        {"schema": "identification"},
    )

    version: str = columns.text(key=True)
    jurisdiction: str = columns.text()
    state: str = columns.text()
    proposed_by: str = columns.text()
    proposed_at: datetime = columns.instant()
    approvals: str = columns.text()
    list: bytes = columns.blob()


class SeededListRow(SQLModel, table=True):
    """The content that the files of an area under `contracts/policy` had when a service last started."""

    __tablename__ = "seeded_lists"
    __table_args__ = {"schema": "identification"}

    jurisdiction: str = columns.text(key=True)
    version: str = columns.text()
    seen_at: datetime = columns.instant()


class PublicationRow(SQLModel, table=True):
    """The running truth, append-only: the newest row of an area names the list in force there. A row without an area
    changes what is told where instead: `coverage`, JSON of the feeds of those divisions by code (null: withdrawn).

    `running_digest` names all lists in force, and what is told where, after it. The rest is how far the people it may
    touch were decided again: they are found (`people_touched`, up to the traits `selected_after`), and looked at
    (`redecisions`; `people`, `people_changed` at the end); and what it is held to (`watched`, while it is):
    `simulation_id` with the tolerance `band` (JSON of `band.Tolerance`).
    """

    __tablename__ = "publications"
    __table_args__ = (
        CheckConstraint("(jurisdiction IS NULL) = (coverage IS NOT NULL)"),
        CheckConstraint("(jurisdiction IS NULL) = (version IS NULL)"),
        Index("publications_jurisdiction", "jurisdiction", "seq"),
        Index("publications_open", "seq", postgresql_where=text("redecided_at IS NULL")),
        Index("publications_running", "running_digest", "seq"),
        {"schema": "identification"},
    )

    seq: int = columns.bigint(key=True)
    jurisdiction: str | None = columns.text(null=True)
    version: str | None = columns.text(null=True, references="identification.policies.version")
    coverage: bytes | None = columns.blob(null=True)
    published_at: datetime = columns.instant()
    published_by: str = columns.text()
    approved_by: str = columns.text()
    running_digest: str = columns.text()
    event_id: str = columns.uuid()
    selected_after: str | None = columns.byte_text(null=True)
    selected_at: datetime | None = columns.instant(null=True)
    redecided_at: datetime | None = columns.instant(null=True)
    people_touched: int = columns.integer()
    people: int = columns.integer()
    people_changed: int = columns.integer()
    simulation_id: str | None = columns.uuid(null=True, references="identification.simulations.simulation_id")
    band: str | None = columns.text(null=True)
    watched: bool = columns.boolean(default="false")
    halted_at: datetime | None = columns.instant(null=True)
    halted_by: str | None = columns.text(null=True)
    halt_reason: str | None = columns.text(null=True)


class CoverageRow(SQLModel, table=True):
    """What was declared last of a division. `said`: the `CoverageDeclared` as it came, `event_id` its id; `applied`:
    decisions are made by it (`PublicationRow.coverage`)."""

    __tablename__ = "coverages"
    __table_args__ = {"schema": "identification"}

    division: str = columns.text(key=True)
    version: int = columns.integer()
    said: bytes = columns.blob()
    event_id: str = columns.uuid()
    applied: bool = columns.boolean()


class RedecisionRow(SQLModel, table=True):
    """A part of the people whom a publication may touch: `people_ids` are still to be decided again, `people` were
    looked at, `people_changed` of them got another decision."""

    __tablename__ = "redecisions"
    __table_args__ = (
        CheckConstraint("cardinality(people_ids) <= 500"),
        Index("redecisions_open", "part", postgresql_where=text("cardinality(people_ids) > 0")),
        {"schema": "identification"},
    )

    part: int = columns.identity(key=True)
    publication: int = columns.bigint(references="identification.publications.seq")
    people_ids: list[str] = columns.uuids()
    people: int = columns.integer()
    people_changed: int = columns.integer()


class SimulationRow(SQLModel, table=True):
    """What a list of `jurisdiction` would do, held against the lists after publication `base_seq`.

    `basis`: names the lists that matter to the area's people; while it is the same the simulation counts.
    `known_at`: what was learnt later is left out, so that a run of any length reads one state; `replayed`: somebody
    asked for an earlier instant. `settled`: nobody was still to be decided again by the lists in force, so that stored
    decisions are theirs. `result`: JSON of `rules.money.tallies.Stored` over the chunks done so far."""

    __tablename__ = "simulations"
    __table_args__ = (
        CheckConstraint("extract(day FROM first_month) = 1"),
        CheckConstraint("months BETWEEN 1 AND 36"),
        CheckConstraint("state IN ('waiting', 'running', 'complete', 'failed')"),
        Index(
            "simulations_open",
            "requested_at",
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index("simulations_version", "version", "requested_at"),
        {"schema": "identification"},
    )

    simulation_id: str = columns.uuid(key=True)
    jurisdiction: str = columns.text()
    version: str = columns.text()
    list: bytes = columns.blob()
    basis: str = columns.text()
    base_seq: int = columns.bigint()
    base_digest: str = columns.text()
    first_month: date = columns.day()
    months: int = columns.smallint()
    known_at: datetime = columns.instant()
    replayed: bool = columns.boolean()
    settled: bool = columns.boolean()
    demo: bool = columns.boolean()
    state: str = columns.text()  # waiting | running | complete | failed
    fault: str | None = columns.text(null=True)
    requested_by: str = columns.text()
    requested_at: datetime = columns.instant()
    completed_at: datetime | None = columns.instant(null=True)
    chunks: int = columns.integer()
    chunks_done: int = columns.integer()
    people: int = columns.bigint()
    result: bytes | None = columns.blob(null=True)


class SimulationChunkRow(SQLModel, table=True):
    """The people with ids above `after_id` up to `upto_id` (None: from the first, to the last), and how many of them
    were looked at (None: not done yet)."""

    __tablename__ = "simulation_chunks"
    __table_args__ = {"schema": "identification"}

    simulation_id: str = columns.uuid(
        key=True, references="identification.simulations.simulation_id", on_delete="CASCADE"
    )
    n: int = columns.integer(key=True)
    after_id: str | None = columns.uuid(null=True)
    upto_id: str | None = columns.uuid(null=True)
    people: int | None = columns.integer(null=True)


class SimulatedChangeRow(SQLModel, table=True):
    """Somebody whose decision a list is to change; `fen`: what they get more or less over the window."""

    __tablename__ = "simulated_changes"
    __table_args__ = {"schema": "identification"}

    simulation_id: str = columns.uuid(
        key=True, references="identification.simulations.simulation_id", on_delete="CASCADE"
    )
    person_id: str = columns.uuid(key=True)
    fen: int = columns.bigint()


class WatchedStepRow(SQLModel, table=True):
    """What one step of deciding again came to, beside what was simulated for the same people."""

    __tablename__ = "watched_steps"
    __table_args__ = (
        Index("watched_steps_publication", "publication"),
        {"schema": "identification"},
    )

    step: int = columns.identity(key=True)
    publication: int = columns.bigint(references="identification.publications.seq")
    people_changed: int = columns.bigint()
    raised_fen: int = columns.bigint()
    cut_fen: int = columns.bigint()
    people_simulated: int = columns.bigint()
    raised_simulated_fen: int = columns.bigint()
    cut_simulated_fen: int = columns.bigint()
