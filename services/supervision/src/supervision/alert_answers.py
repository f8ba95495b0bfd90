"""Convert alerts to HTTP answers. The gap of a move is shown with the clauses of both areas."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from common.words_zh import ITEMS
from rules.deciding.gaps import gap_text

from supervision.checks import checks
from supervision.domain.gaps import (
    CHECK,
    Clause,
    Clauses,
    Gap,
    areas_after_move,
    group_clauses,
    move_gap_of,
    new_clause,
    old_clause,
)
from supervision.shapes import AlertOut, ClauseOut, GapOut
from supervision.store import gaps as store
from supervision.store.alerts import Alert


async def answers(connection: asyncpg.Connection, alerts: Sequence[Alert], now: datetime) -> list[AlertOut]:
    """Return the alerts as HTTP answers, in the order of `alerts`."""
    found = await store.load_gaps(connection, [alert.alert_id for alert in alerts if alert.check_id == CHECK])
    clauses = await _load_clauses(connection, found) if found else {}
    gaps = {gap.alert_id: _gap_out(gap, clauses) for gap in found}
    return [_alert_out(alert, now, gaps.get(alert.alert_id)) for alert in alerts]


async def answer(connection: asyncpg.Connection, alert: Alert, now: datetime) -> AlertOut:
    (found,) = await answers(connection, [alert], now)
    return found


def _deadline(alert: Alert) -> datetime | None:
    """Return the deadline of the next step; None for a closed alert. Without a provider, nobody explains an alert."""
    match alert.state:
        case "closed":
            return None
        case "raised" if alert.provider is not None:
            return alert.explain_by
        case "raised" | "explained":
            return alert.decide_by
        case "confirmed" | "dismissed":
            return alert.close_by


def _alert_out(alert: Alert, now: datetime, gap: GapOut | None) -> AlertOut:
    deadline = _deadline(alert)
    return AlertOut(
        **alert._asdict(),
        check=alert.check_id,
        text=checks().named(alert.check_id).text,
        overdue=deadline is not None and deadline < now,
        gap=gap,
    )


async def _load_clauses(connection: asyncpg.Connection, gaps: Sequence[Gap]) -> Clauses:
    """Load the clauses of all areas whose lists may decide about these gaps."""
    areas: set[str] = set()
    for gap in gaps:
        areas |= {gap.old, *areas_after_move(gap)}
    items = sorted({gap.item for gap in gaps})
    return group_clauses(await store.load_clauses(connection, sorted(areas), items))


def _gap_out(stored: Gap, clauses: Clauses) -> GapOut:
    gap = move_gap_of(stored)
    old, new = old_clause(stored, clauses), new_clause(stored, clauses)
    title = _item_title(stored.item, old or new)
    return GapOut(
        **{name: getattr(gap, name) for name in GapOut.model_fields if name in gap.__struct_fields__},
        item_title=title,
        text=gap_text(gap, title),
        old_clause=_clause_out(old),
        new_clause=_clause_out(new),
    )


def _item_title(item: str, clause: Clause | None) -> str:
    return ITEMS.get(item) or (clause.item_title if clause else item)


def _clause_out(clause: Clause | None) -> ClauseOut | None:
    return ClauseOut(**clause._asdict(), date=clause.issued_on) if clause else None
