"""Store and lock payment batches and their lines. A line is one payment of a batch."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg
from shell.store import bulk, reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx

from subsidy.domain.ledger import Kind, Line
from subsidy.domain.payment import LineChange
from subsidy.tables import BatchLineRow, BatchRow

_FINAL: Final = ("approved", "rejected")


class Batch(NamedTuple):
    """A row of `batches`, in the order of its columns."""

    batch_id: str
    jurisdiction: str
    month: date
    state: str
    maker: str
    checker: str | None
    reason: str | None
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None

    @property
    def is_final(self) -> bool:
        return self.state in _FINAL

    def pays_the_same_as(self, other: "Batch") -> bool:
        """Whether both are batches of one area and month."""
        return (self.jurisdiction, self.month) == (other.jurisdiction, other.month)

    def decided(self, state: str, checker: str, now: datetime, reason: str | None = None) -> "Batch":
        return self._replace(state=state, checker=checker, reason=reason, decided_at=now)


class Total(NamedTuple):
    """Number and amount of a batch's lines in one state."""

    state: str
    lines: int
    amount_fen: int


class LineDetail(NamedTuple):
    """A line with its reason and its day of settlement; the fields are columns of `batch_lines`."""

    line_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    amount_fen: int
    state: str
    reason: str | None
    settled_on: date | None


_BATCH: Final = ", ".join(Batch._fields)
_LINE: Final = ", ".join(Line._fields)


async def insert_batch(tx: Tx, batch: Batch) -> bool:
    """Insert a batch. False if a batch with this id was committed before."""
    places = ", ".join(f"${i}" for i, _ in enumerate(batch, 1))
    statement = f"INSERT INTO batches ({_BATCH}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING 1"  # noqa: S608
    return await tx.sql.fetchval(statement, *batch) is not None


@reads.row(Batch)
def load_batch(batch_id: str) -> Select[BatchRow]:
    return select(BatchRow).where(BatchRow.batch_id == batch_id)


@reads.row(Batch)
def lock_batch(batch_id: str) -> Select[BatchRow]:
    return select(BatchRow).where(BatchRow.batch_id == batch_id).with_for_update()


async def load_months(tx: Tx, batch_ids: Sequence[str]) -> dict[str, date]:
    """Return the month of each batch, by batch id."""
    rows = await tx.sql.fetch("SELECT batch_id, month FROM batches WHERE batch_id = ANY($1::uuid[])", batch_ids)
    return dict(rows)


@reads.rows(Batch)
def list_batches(
    areas: Sequence[str] | None, month: date | None, state: str | None, after: str | None, limit: int
) -> Select[BatchRow]:
    """List batches by id. A filter that is None does not apply. `after`: the last id of the page before."""
    return (
        select(BatchRow)
        .where(
            if_given(areas, among(BatchRow.jurisdiction, areas)),
            if_given(month, col(BatchRow.month) == month),
            if_given(state, col(BatchRow.state) == state),
            if_given(after, col(BatchRow.batch_id) > after),
        )
        .order_by(BatchRow.batch_id)
        .limit(limit)
    )


async def update_batch(tx: Tx, batch: Batch) -> None:
    await tx.sql.execute(
        """UPDATE batches SET state = $2, checker = $3, reason = $4, submitted_at = $5, decided_at = $6
           WHERE batch_id = $1""",
        batch.batch_id,
        batch.state,
        batch.checker,
        batch.reason,
        batch.submitted_at,
        batch.decided_at,
    )


async def sum_lines(connection: asyncpg.Connection, batch_ids: Sequence[str]) -> dict[str, list[Total]]:
    """Return by batch id the totals of the batch's lines, one per state."""
    rows = await connection.fetch(
        """SELECT batch_id, state, count(*), sum(amount_fen)::bigint FROM batch_lines
           WHERE batch_id = ANY($1::uuid[]) GROUP BY 1, 2 ORDER BY 1, 2""",
        batch_ids,
    )
    found: dict[str, list[Total]] = {}
    for batch_id, *total in rows:
        found.setdefault(batch_id, []).append(Total(*total))
    return found


async def insert_lines(tx: Tx, batch_id: str, lines: Sequence[Line]) -> None:
    await bulk.insert(tx, BatchLineRow, (*Line._fields, "batch_id"), [(*line, batch_id) for line in lines])


@reads.rows(Line)
def lock_lines(batch_id: str) -> Select[BatchLineRow]:
    """Lock all lines of a batch, in the order of ids."""
    return (
        select(BatchLineRow).where(BatchLineRow.batch_id == batch_id).order_by(BatchLineRow.line_id).with_for_update()
    )


async def lock_lines_by_id(tx: Tx, line_ids: Sequence[str]) -> dict[str, tuple[Line, str]]:
    """Lock lines. Returns by line id the line and its batch id; unknown ids are missing."""
    rows = await tx.sql.fetch(
        f"""SELECT batch_id, {_LINE} FROM batch_lines
            WHERE line_id = ANY($1::uuid[]) ORDER BY line_id FOR UPDATE""",  # noqa: S608
        line_ids,
    )
    found: dict[str, tuple[Line, str]] = {}
    for batch_id, *columns in rows:
        line = Line(*columns)
        found[line.line_id] = line, batch_id
    return found


async def change_lines(tx: Tx, changes: Sequence[LineChange]) -> None:
    if not changes:
        return
    await tx.sql.execute(
        """UPDATE batch_lines l SET state = u.state, reason = coalesce(u.reason, l.reason),
                                    settled_on = coalesce(u.settled_on, l.settled_on)
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[]) AS u(line_id, state, reason, settled_on)
           WHERE l.line_id = u.line_id""",
        *bulk.columns_of(changes),
    )


@reads.rows(LineDetail)
def list_lines(batch_id: str, states: Sequence[str] | None, after: str | None, limit: int) -> Select[BatchLineRow]:
    """List lines of a batch in the order of ids. `states` None: all states. `after`: the last id of the page before."""
    return (
        select(BatchLineRow)
        .where(
            BatchLineRow.batch_id == batch_id,
            if_given(states, among(BatchLineRow.state, states)),
            if_given(after, col(BatchLineRow.line_id) > after),
        )
        .order_by(BatchLineRow.line_id)
        .limit(limit)
    )
