"""What subsidy stores. Months are stored as their first day, money as integer fen, postings once and for ever."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, LargeBinary, Uuid
from sqlmodel import Field, SQLModel


def _column(kind: Any, *, key: bool = False, null: bool = False) -> Any:
    return Field(sa_column=Column(kind, primary_key=key, nullable=null))


def _uuid(*, key: bool = False, null: bool = False) -> Any:
    return _column(Uuid(as_uuid=False), key=key, null=null)


class PayFromRow(SQLModel, table=True):
    """The first service month this ledger answers for, per area; `*`: any other."""

    __tablename__ = "pay_from"
    __table_args__ = {"schema": "subsidy"}

    jurisdiction: str = Field(primary_key=True)
    month: date = _column(Date)


class AccountRow(SQLModel, table=True):
    """One person: the newest entitlements that concern money (`entitlements`: JSON), and how far they are worked out.

    `through_month`: dues are determined up to here. `next_change_month`: the through month with which there is more.
    """

    __tablename__ = "accounts"
    __table_args__ = {"schema": "subsidy"}

    person_id: str = _uuid(key=True)
    version: int = _column(BigInteger)
    digest: bytes = _column(LargeBinary)
    entitlements: bytes = _column(LargeBinary)
    died_on: date | None = _column(Date, null=True)
    through_month: date = _column(Date)
    next_change_month: date | None = _column(Date, null=True)
    merged_into: str | None = _uuid(null=True)
    cause_event_id: str | None = _uuid(null=True)


class AliasRow(SQLModel, table=True):
    """`alias` is the same human as `survivor`, says the survivor's newest decision."""

    __tablename__ = "aliases"
    __table_args__ = {"schema": "subsidy"}

    survivor: str = _uuid(key=True)
    alias: str = _uuid(key=True)


class DueRow(SQLModel, table=True):
    """What stands under one key (person, item, area, service month): owed, paid, on its way, to be recovered.

    The amounts beside `amount_fen` are sums of postings, kept here so that paying is one comparison; `verify`
    adds the postings up again. `sequence` counts the postings of the key.
    """

    __tablename__ = "dues"
    __table_args__ = {"schema": "subsidy"}

    person_id: str = _uuid(key=True)
    item: str = Field(primary_key=True)
    jurisdiction: str = Field(primary_key=True)
    service_month: date = _column(Date, key=True)
    amount_fen: int = _column(BigInteger)
    state: str  # due | held | barred
    fund: str
    paid_fen: int = _column(BigInteger)
    open_fen: int = _column(BigInteger)
    recovering_fen: int = _column(BigInteger)
    written_off_fen: int = _column(BigInteger)
    reissue: bool
    sequence: int
    recover_sequence: int
    cause_event_id: str | None = _uuid(null=True)


class EntryRow(SQLModel, table=True):
    """One posting with both its legs: `amount_fen` from `credit_account` to `debit_account`. Never changed but from
    pending to posted, voided or held, once."""

    __tablename__ = "entries"
    __table_args__ = {"schema": "subsidy"}

    payee_type: str = Field(primary_key=True)
    person_id: str = _uuid(key=True)
    item: str = Field(primary_key=True)
    jurisdiction: str = Field(primary_key=True)
    service_month: date = _column(Date, key=True)
    kind: str = Field(primary_key=True)  # due | pay | back_pay | recover | return | reissue | write_off
    sequence: int = _column(Integer, key=True)
    entry_id: str = _uuid()
    debit_account: str
    credit_account: str
    amount_fen: int = _column(BigInteger)
    state: str  # pending | posted | voided | held
    fund: str
    batch_id: str | None = _uuid(null=True)
    cause_event_id: str | None = _uuid(null=True)
    recorded_at: datetime = _column(DateTime(timezone=True))
    posted_at: datetime | None = _column(DateTime(timezone=True), null=True)


class BatchRow(SQLModel, table=True):
    """What one area pays at once. Made by one person, approved by another."""

    __tablename__ = "batches"
    __table_args__ = {"schema": "subsidy"}

    batch_id: str = _uuid(key=True)
    jurisdiction: str
    month: date = _column(Date)
    state: str  # reserved | submitted | approved | rejected
    maker: str
    checker: str | None = None
    reason: str | None = None
    created_at: datetime = _column(DateTime(timezone=True))
    submitted_at: datetime | None = _column(DateTime(timezone=True), null=True)
    decided_at: datetime | None = _column(DateTime(timezone=True), null=True)


class BatchLineRow(SQLModel, table=True):
    """One payment of a batch; `line_id` is its entry's id."""

    __tablename__ = "batch_lines"
    __table_args__ = {"schema": "subsidy"}

    line_id: str = _uuid(key=True)
    batch_id: str = _uuid()
    person_id: str = _uuid()
    item: str
    jurisdiction: str
    service_month: date = _column(Date)
    kind: str  # pay | back_pay | reissue
    sequence: int = _column(Integer)
    amount_fen: int = _column(BigInteger)
    state: str  # reserved | ordered | settled | returned | taken_out | rejected
    reason: str | None = None
    settled_on: date | None = _column(Date, null=True)


class RecoveryRow(SQLModel, table=True):
    """Money paid for a month that is not owed. One case per key, opened again when it happens again."""

    __tablename__ = "recoveries"
    __table_args__ = {"schema": "subsidy"}

    recovery_id: str = _uuid(key=True)
    person_id: str = _uuid()
    item: str
    jurisdiction: str
    service_month: date = _column(Date)
    amount_fen: int = _column(BigInteger)
    state: str  # open | collected | withdrawn | written_off
    reason: str
    cause_event_id: str | None = _uuid(null=True)
    opened_at: datetime = _column(DateTime(timezone=True))
    closed_at: datetime | None = _column(DateTime(timezone=True), null=True)
    closed_by: str | None = None
