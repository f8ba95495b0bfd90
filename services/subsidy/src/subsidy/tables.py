"""The tables of subsidy. A month is stored as its first day, money as integer fen. Entries are never deleted."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, text
from sqlmodel import SQLModel


class PayFromRow(SQLModel, table=True):
    """The first service month of this ledger per area. `*`: all other areas."""

    __tablename__ = "pay_from"
    __table_args__ = (
        CheckConstraint("extract(day FROM month) = 1"),
        {"schema": "subsidy"},
    )

    jurisdiction: str = columns.text(key=True)
    month: date = columns.day()


class AccountRow(SQLModel, table=True):
    """One person: the newest entitlements that concern money (`entitlements`: JSON), and the months already computed.

    `through_month`: the last month whose dues are determined. `next_change_month`: the first later month that can add
    dues, None if there is none.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        Index("accounts_next_change", "next_change_month", postgresql_where=text("next_change_month IS NOT NULL")),
        {"schema": "subsidy"},
    )

    person_id: str = columns.uuid(key=True)
    version: int = columns.bigint()
    digest: bytes = columns.blob()
    entitlements: bytes = columns.blob()
    died_on: date | None = columns.day(null=True)
    through_month: date = columns.day()
    next_change_month: date | None = columns.day(null=True)
    merged_into: str | None = columns.uuid(null=True)
    cause_event_id: str | None = columns.uuid(null=True)


class AliasRow(SQLModel, table=True):
    """`alias` is the same human as `survivor`, by the newest decision about `survivor`."""

    __tablename__ = "aliases"
    __table_args__ = (
        CheckConstraint("alias <> survivor"),
        Index("aliases_alias", "alias"),
        {"schema": "subsidy"},
    )

    survivor: str = columns.uuid(key=True)
    alias: str = columns.uuid(key=True)


class DueRow(SQLModel, table=True):
    """The amounts under one key (person, item, area, service month): owed, paid, in an open batch, to be recovered.

    `amount_fen` is the present due. The other amounts are sums of entries, stored so that paying is one comparison.
    `verify` adds the entries up again. `sequence` is the number of the key's last entry.
    """

    __tablename__ = "dues"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0"),
        CheckConstraint("(recovering_fen + written_off_fen) = greatest(0, paid_fen - amount_fen)"),
        CheckConstraint("open_fen >= 0"),
        CheckConstraint("paid_fen >= 0"),
        CheckConstraint("recovering_fen >= 0"),
        CheckConstraint("extract(day FROM service_month) = 1"),
        CheckConstraint("state IN ('due', 'held', 'barred')"),
        CheckConstraint("written_off_fen >= 0"),
        Index(
            "dues_to_pay",
            "jurisdiction",
            "service_month",
            postgresql_where=text("state = 'due' AND open_fen = 0 AND amount_fen > paid_fen"),
        ),
        {"schema": "subsidy"},
    )

    person_id: str = columns.uuid(key=True)
    item: str = columns.text(key=True)
    jurisdiction: str = columns.text(key=True)
    service_month: date = columns.day(key=True)
    amount_fen: int = columns.bigint()
    state: str = columns.text()  # due | held | barred
    fund: str = columns.text()
    paid_fen: int = columns.bigint(default="0")
    open_fen: int = columns.bigint(default="0")
    recovering_fen: int = columns.bigint(default="0")
    written_off_fen: int = columns.bigint(default="0")
    reissue: bool = columns.boolean(default="false")
    sequence: int = columns.integer()
    recover_sequence: int = columns.integer(default="0")
    cause_event_id: str | None = columns.uuid(null=True)


class EntryRow(SQLModel, table=True):
    """One ledger entry with debit and credit: `amount_fen` from `credit_account` to `debit_account`.

    An entry changes at most once: from pending to posted, voided or held.
    """

    __tablename__ = "entries"
    __table_args__ = (
        PrimaryKeyConstraint("person_id", "item", "jurisdiction", "service_month", "kind", "sequence", "payee_type"),
        CheckConstraint("amount_fen > 0"),
        CheckConstraint("debit_account <> credit_account"),
        CheckConstraint("(state = 'posted') = (posted_at IS NOT NULL)"),
        CheckConstraint("kind IN ('due', 'pay', 'back_pay', 'recover', 'return', 'reissue', 'write_off')"),
        CheckConstraint("payee_type = 'person'"),
        CheckConstraint("state IN ('pending', 'posted', 'voided', 'held')"),
        {"schema": "subsidy"},
    )

    payee_type: str = columns.text(key=True)
    person_id: str = columns.uuid(key=True)
    item: str = columns.text(key=True)
    jurisdiction: str = columns.text(key=True)
    service_month: date = columns.day(key=True)
    kind: str = columns.text(key=True)  # due | pay | back_pay | recover | return | reissue | write_off
    sequence: int = columns.integer(key=True)
    entry_id: str = columns.uuid()
    debit_account: str = columns.text()
    credit_account: str = columns.text()
    amount_fen: int = columns.bigint()
    state: str = columns.text()  # pending | posted | voided | held
    fund: str = columns.text()
    batch_id: str | None = columns.uuid(null=True)
    cause_event_id: str | None = columns.uuid(null=True)
    recorded_at: datetime = columns.instant()
    posted_at: datetime | None = columns.instant(null=True)


class BatchRow(SQLModel, table=True):
    """The payments of an area that are approved together. One person makes a batch, another approves it."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("checker <> maker"),
        CheckConstraint("state IN ('reserved', 'submitted', 'approved', 'rejected')"),
        Index("batches_area", "jurisdiction", "month"),
        {"schema": "subsidy"},
    )

    batch_id: str = columns.uuid(key=True)
    jurisdiction: str = columns.text()
    month: date = columns.day()
    state: str = columns.text()  # reserved | submitted | approved | rejected
    maker: str = columns.text()
    checker: str | None = columns.text(null=True)
    reason: str | None = columns.text(null=True)
    created_at: datetime = columns.instant()
    submitted_at: datetime | None = columns.instant(null=True)
    decided_at: datetime | None = columns.instant(null=True)


class BatchLineRow(SQLModel, table=True):
    """One payment of a batch; `line_id` is its entry's id."""

    __tablename__ = "batch_lines"
    __table_args__ = (
        CheckConstraint("amount_fen > 0"),
        CheckConstraint("kind IN ('pay', 'back_pay', 'reissue')"),
        CheckConstraint("state IN ('reserved', 'ordered', 'settled', 'returned', 'taken_out', 'rejected')"),
        Index("batch_lines_batch", "batch_id", "line_id"),
        {"schema": "subsidy"},
    )

    line_id: str = columns.uuid(key=True)
    batch_id: str = columns.uuid(references="subsidy.batches.batch_id")
    person_id: str = columns.uuid()
    item: str = columns.text()
    jurisdiction: str = columns.text()
    service_month: date = columns.day()
    kind: str = columns.text()  # pay | back_pay | reissue
    sequence: int = columns.integer()
    amount_fen: int = columns.bigint()
    state: str = columns.text()  # reserved | ordered | settled | returned | taken_out | rejected
    reason: str | None = columns.text(null=True)
    settled_on: date | None = columns.day(null=True)


class RecoveryRow(SQLModel, table=True):
    """Money that was paid and is not owed. One case per key: the same case opens again after it was closed."""

    __tablename__ = "recoveries"
    __table_args__ = (
        CheckConstraint("amount_fen > 0"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)"),
        CheckConstraint("state IN ('open', 'collected', 'withdrawn', 'written_off')"),
        {"schema": "subsidy"},
    )

    recovery_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    item: str = columns.text()
    jurisdiction: str = columns.text()
    service_month: date = columns.day()
    amount_fen: int = columns.bigint()
    state: str = columns.text()  # open | collected | withdrawn | written_off
    reason: str = columns.text()
    cause_event_id: str | None = columns.uuid(null=True)
    opened_at: datetime = columns.instant()
    closed_at: datetime | None = columns.instant(null=True)
    closed_by: str | None = columns.text(null=True)
