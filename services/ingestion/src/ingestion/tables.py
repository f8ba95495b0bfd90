"""The tables of people, households, accepted events and rejected events. Rooms have their own `tables` modules.

Personal data is stored in `sealed` columns only. Hashes are keyed.
"""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class IdentityRow(SQLModel, table=True):
    """The person of an ID number, found by the keyed hash of the number."""

    __tablename__ = "identities"
    __table_args__ = {"schema": "ingestion"}
    blind_index: bytes = columns.blob(key=True)
    person_id: str = columns.uuid()


class PersonRow(SQLModel, table=True):
    """The person of one ID number.

    `statements`: JSON objects, joined by commas. `waiting`: the number of open rows of this person in quarantine.
    `memory`: derived values (`domain.person.Memory` as MessagePack). `circle`: the smallest person id among all that
    were ever linked by identity changes. `merged_into`: the person that represents this one now. `identities`: the
    history of merges, as JSON."""

    __tablename__ = "persons"
    __table_args__ = (
        CheckConstraint("waiting >= 0"),
        Index("persons_circle", "circle", postgresql_where=text("circle IS NOT NULL")),
        {"schema": "ingestion"},
    )
    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(default="0")
    recorded_at: datetime | None = columns.instant(null=True)
    division: str | None = columns.text(null=True)
    waiting: int = columns.integer(default="0")
    statements: bytes = columns.blob(default="''")
    memory: bytes = columns.blob(default="''")
    circle: str | None = columns.uuid(null=True)
    merged_into: str | None = columns.uuid(null=True)
    identities: bytes = columns.blob(default="''")


class VaultRow(SQLModel, table=True):
    """A person's identity data, encrypted. `field`: `id_number` or `name`."""

    __tablename__ = "vault"
    __table_args__ = (
        CheckConstraint("field IN ('id_number', 'name')"),
        {"schema": "ingestion"},
    )
    person_id: str = columns.uuid(key=True)
    field: str = columns.text(key=True)
    sealed: bytes = columns.blob()


class ReceivedRow(SQLModel, table=True):
    """Every accepted event, once.

    `status`: applied, quarantined, or parked (discarded by officers or withdrawn by its source). `day`: the civil day
    of the event's `time`. `chain`: id of the first event of its chain; null while the event does not count. `digest`:
    keyed hash of the content. `sealed`: the whole event, encrypted."""

    __tablename__ = "received"
    __table_args__ = (
        CheckConstraint("(status = 'applied') = (chain IS NOT NULL)"),
        CheckConstraint("status IN ('applied', 'quarantined', 'parked')"),
        Index("received_day", "day", postgresql_using="brin"),
        {"schema": "ingestion"},
    )
    event_id: str = columns.uuid(key=True)
    source: str = columns.text()
    kind: str = columns.text()
    day: date = columns.day()
    status: str = columns.text()
    person_id: str = columns.uuid()
    chain: str | None = columns.uuid(null=True)
    household: str | None = columns.uuid(null=True)
    digest: bytes = columns.blob()
    sealed: bytes = columns.blob()
    recorded_at: datetime = columns.instant()


class HouseholdRow(SQLModel, table=True):
    """All statements about one household (`domain.household.State` as JSON)."""

    __tablename__ = "households"
    __table_args__ = {"schema": "ingestion"}
    household: str = columns.uuid(key=True)
    state: bytes = columns.blob(default="''")


class RejectionRow(SQLModel, table=True):
    """A rejected event of a registered source. `problems`: pointers and codes as JSON. `sealed`: the first
    64 KiB of the body, encrypted."""

    __tablename__ = "rejections"
    __table_args__ = (
        Index("rejections_day", "source", "day"),
        Index("rejections_event", "event_id", postgresql_where=text("event_id IS NOT NULL")),
        {"schema": "ingestion"},
    )
    rejection_id: str = columns.uuid(key=True)
    source: str = columns.text()
    event_id: str | None = columns.uuid(null=True)
    day: date = columns.day()
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
    recorded_at: datetime = columns.instant()
