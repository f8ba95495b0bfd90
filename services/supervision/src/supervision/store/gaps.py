"""Store and read the gaps of moves behind their cases, and the clauses of the lists in force."""

from collections.abc import Sequence
from typing import NamedTuple

from shell.store import bulk, reads
from shell.store.reads import Select, among, col, select
from shell.store.transaction import Tx

from supervision.domain.gaps import Clause, Gap
from supervision.tables import ClauseRow, MoveGapRow


class OpenGap(NamedTuple):
    person_id: str
    subject: str


async def list_open(tx: Tx, person_ids: Sequence[str]) -> list[OpenGap]:
    """Return the gaps of these people whose cases are not decided."""
    rows = await tx.sql.fetch(
        """SELECT g.person_id, a.subject FROM move_gaps g JOIN alerts a USING (alert_id)
           WHERE g.person_id = ANY($1::uuid[]) AND a.state IN ('raised', 'explained')""",
        person_ids,
    )
    return [OpenGap(*row) for row in rows]


async def upsert_gaps(tx: Tx, gaps: Sequence[Gap]) -> None:
    """Insert or replace gaps. They must be unique by alert id."""
    await bulk.upsert(tx, MoveGapRow, Gap._fields, gaps, key=("alert_id",))


@reads.rows(Gap)
def load_gaps(alert_ids: Sequence[str]) -> Select[MoveGapRow]:
    return select(MoveGapRow).where(among(MoveGapRow.alert_id, alert_ids))


async def replace_clauses(tx: Tx, jurisdictions: Sequence[str], clauses: Sequence[Clause]) -> None:
    """Replace all clauses of these areas."""
    await tx.sql.execute("DELETE FROM clauses WHERE jurisdiction = ANY($1::text[])", sorted(jurisdictions))
    await bulk.insert(tx, ClauseRow, Clause._fields, clauses)


@reads.rows(Clause)
def load_clauses(jurisdictions: Sequence[str], items: Sequence[str]) -> Select[ClauseRow]:
    """Return the clauses of these items in the lists of these areas, oldest version first."""
    return (
        select(ClauseRow)
        .where(among(ClauseRow.jurisdiction, jurisdictions), among(ClauseRow.item, items))
        .order_by(col(ClauseRow.valid_from))
    )
