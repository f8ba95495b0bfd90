"""The tables. Inputs are stored as received, so that any decision can be computed again and explained."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class PersonRow(SQLModel, table=True):
    """One person with the newest inputs and the newest decision.

    `version`: of the decision (0: none yet). `decision`: the JSON of `EntitlementsDecided` without causes, as in the
    newest message. `traits`: everything by which lists can distinguish this person (`rules.deciding.traits`); NULL
    if no list can decide anything. `policy_digest`: the set of lists that decided; a newer set in force may leave the
    decision unchanged. `merged_into`: the surviving person. `others`: JSON of the inputs stored under other identities
    of the same human. `next_edge_on`: the first day whose starts and ends are not emitted yet.
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
    """One decision, never changed afterwards. `said`: JSON of `EntitlementsDecided` with the intervals of the changed
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
    """An adverse decision whose reasons are not written down yet. `adverse`: JSON array of
    `identification.deciding.domain.adverse.Adverse`, one per item. `failed_at`: when the explanation failed."""

    __tablename__ = "unexplained"
    __table_args__ = {"schema": "identification"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(key=True)
    adverse: bytes = columns.blob()
    failed_at: datetime | None = columns.instant(null=True)


class AdverseRow(SQLModel, table=True):
    """One item that a decision withholds or reduces, with the reasons, never changed afterwards. `explanation`: JSON of
    `rules.words.explain.Explanation`."""

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
    """One version of an area's list; `version` is the digest of its content.

    `state`: proposed → approved → published (→ halted). A replaced or halted list may be proposed again. `approvals`:
    JSON `[{"by", "at", "simulation_id"}]`.
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
    """The version of an area's files under `contracts/policy` at the last start of a service."""

    __tablename__ = "seeded_lists"
    __table_args__ = {"schema": "identification"}

    jurisdiction: str = columns.text(key=True)
    version: str = columns.text()
    seen_at: datetime = columns.instant()


class PublicationRow(SQLModel, table=True):
    """A publication. Rows are appended; the newest row of an area names the list in force there.

    A row without an area changes the coverage instead: `coverage` is JSON of feeds by division (null: withdrawn).
    `running_digest`: of all lists and the coverage in force after it.

    Progress of deciding again: `people_touched` people are found, up to the traits `selected_after`; all of them at
    `selected_at`. `people` of them are decided and `people_changed` have another decision, set at `redecided_at`; until
    then `redecisions` holds the counts. A halt also sets `redecided_at`, with the counts reached so far.

    `watched`: the effect is still compared with the simulation `simulation_id`, within `band` (JSON of
    `band.Tolerance`).
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
    """The last declaration of a division. `said`: JSON of the received `CoverageDeclared`; `event_id`: its id.
    `applied`: it is in force (`PublicationRow.coverage`)."""

    __tablename__ = "coverages"
    __table_args__ = {"schema": "identification"}

    division: str = columns.text(key=True)
    version: int = columns.integer()
    said: bytes = columns.blob()
    event_id: str = columns.uuid()
    applied: bool = columns.boolean()


class RedecisionRow(SQLModel, table=True):
    """A part of the people whom a publication may touch. `people_ids` are still to be decided again; `people` are done,
    and `people_changed` of them have another decision."""

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
    """The effect of a list of `jurisdiction`, compared with the lists in force after publication `base_seq`.

    `basis`: digest of the lists and coverage of the area, above it and inside it. Approvers can sign the simulation
    while these are in force.
    `known_at`: inputs recorded later are left out, so that a long run reads one state. `replayed`: the request named an
    earlier instant. `settled`: nobody was still to be decided again, so the stored decisions are those of the lists in
    force. `result`: JSON of `rules.money.tallies.Stored` of the finished chunks.
    """

    __tablename__ = "simulations"
    __table_args__ = (
        CheckConstraint("extract(day FROM first_month) = 1"),
        CheckConstraint("months BETWEEN 1 AND 36"),
        CheckConstraint("state IN ('waiting', 'running', 'complete', 'failed')"),
        Index("simulations_open", "requested_at", postgresql_where=text("state IN ('waiting', 'running')")),
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
    """The people with ids above `after_id` up to `upto_id` (None: without bound). `people`: number of people counted
    (None: not done yet)."""

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
    """A person whose decision the simulated list changes. `fen`: more or less money over the window."""

    __tablename__ = "simulated_changes"
    __table_args__ = {"schema": "identification"}

    simulation_id: str = columns.uuid(
        key=True, references="identification.simulations.simulation_id", on_delete="CASCADE"
    )
    person_id: str = columns.uuid(key=True)
    fen: int = columns.bigint()


class WatchedStepRow(SQLModel, table=True):
    """The effect of one step of deciding again, and the simulated effect on the same people."""

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
