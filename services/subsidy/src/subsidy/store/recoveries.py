"""Read recovery cases. They are written with the ledger (`store.ledger.save_changes`)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from shell.store import reads
from shell.store.reads import Select, among, col, if_given, select

from subsidy.domain.ledger import Key
from subsidy.tables import RecoveryRow


class Recovery(NamedTuple):
    """A row of `recoveries`."""

    recovery_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int
    state: str
    reason: str
    cause_event_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None

    @property
    def key(self) -> Key:
        return self.person_id, self.item, self.jurisdiction, self.service_month


@reads.row(Recovery)
def load_recovery(recovery_id: str) -> Select[RecoveryRow]:
    return select(RecoveryRow).where(RecoveryRow.recovery_id == recovery_id)


@reads.rows(Recovery)
def list_recoveries(
    areas: Sequence[str] | None, state: str | None, person_id: str | None, after: str | None, limit: int
) -> Select[RecoveryRow]:
    """List recoveries in the order of ids. A filter that is None does not apply.

    `after`: the last id of the page before.
    """
    return (
        select(RecoveryRow)
        .where(
            if_given(areas, among(RecoveryRow.jurisdiction, areas)),
            if_given(state, col(RecoveryRow.state) == state),
            if_given(person_id, col(RecoveryRow.person_id) == person_id),
            if_given(after, col(RecoveryRow.recovery_id) > after),
        )
        .order_by(RecoveryRow.recovery_id)
        .limit(limit)
    )
