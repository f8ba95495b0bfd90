"""An alert as callers see it; a gap of a move with the clauses of both areas."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
from common.calendar import month_text
from common.codes import divisions
from common.events import MoveGap
from common.events.entitlement import GapReason
from pydantic import BaseModel, Field
from rules.deciding.gaps import gap_text
from rules.form.items import ITEM_TITLES

from supervision.checks import checks
from supervision.domain.alerts import AlertState, Severity
from supervision.move_gaps import CHECK
from supervision.store import gaps as store


class ClauseShown(BaseModel):
    """Where a list says something of the item. `example`: no document says so."""

    jurisdiction: str
    title: str
    issuer: str
    date: date
    locator: str
    status: Literal["documented", "example"]


class GapShown(BaseModel):
    """Months that nobody pays because the person moved and the lists of two areas do not meet."""

    item: str
    item_title: str
    old: str = Field(description="the area that paid until the move")
    new: str | None = Field(description="the area whose list says something of the item after it")
    left: str = Field(description="the county left")
    moved_to: str
    moved_on: date
    first_month: str = Field(description="YYYY-MM")
    until_month: str | None = Field(description="the first month that is paid again; null: open")
    why: GapReason
    text: str
    old_clause: ClauseShown | None
    new_clause: ClauseShown | None = Field(description="null where no list of the new area has the item")


class AlertShown(BaseModel):
    alert_id: UUID
    check: str = Field(description="one of contracts/checks.yaml: V01 … V17, visit_missed, move_gap, read_budget …")
    text: str = Field(description="what was found, in Chinese")
    severity: Severity
    state: AlertState
    subject: UUID = Field(
        description="the task, recovery, parked record, gap, hold, stay, event, group, or the cause of audit rows"
    )
    person_id: UUID | None
    provider: str | None
    division: str | None
    other_division: str | None = Field(description="the second area of a case between two")
    correlation_id: UUID | None = Field(description="for /v1/trace/{event_id}")
    raised_at: datetime
    explain_by: datetime
    decide_by: datetime
    close_by: datetime
    overdue: bool = Field(description="the deadline of its present state has passed")
    explanation: str | None
    outcome: Literal["confirmed", "dismissed"] | None
    decision: str | None = Field(description="the officer's reason")
    closed_at: datetime | None
    gap: GapShown | None = Field(description="of a move_gap")


async def show(connection: asyncpg.Connection, rows: Sequence[Any], now: datetime) -> list[dict[str, object]]:
    """As AlertShown, in the order of `rows`."""
    found = await store.load_gaps(connection, [row["alert_id"] for row in rows if row["check_id"] == CHECK])
    gaps = {row["alert_id"]: row for row in found}
    clauses = await _clauses(connection, found) if found else {}
    return [_shown(row, now, gaps.get(row["alert_id"]), clauses) for row in rows]


def _shown(row: Any, now: datetime, gap: Any, clauses: Mapping[tuple[str, str], Sequence[Any]]) -> dict[str, object]:
    deadline = {"raised": "explain_by", "explained": "decide_by", "confirmed": "close_by", "dismissed": "close_by"}
    name = deadline.get(row["state"])
    return {
        **{field: row[field] for field in AlertShown.model_fields if field not in ("check", "text", "overdue", "gap")},
        "check": row["check_id"],
        "text": checks().named(row["check_id"]).text,
        "overdue": name is not None and row[name] < now,
        "gap": _gap(gap, clauses) if gap else None,
    }


async def _clauses(connection: asyncpg.Connection, gaps: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    """By area and item, of all areas that may say something of these gaps; versions in their order."""
    areas = {area for g in gaps for area in (g["old"], *_after(g))}
    found: dict[tuple[str, str], list[Any]] = {}
    for row in await store.load_clauses(connection, sorted(areas), sorted({g["item"] for g in gaps})):
        found.setdefault((row["jurisdiction"], row["item"]), []).append(row)
    return found


def _after(gap: Any) -> tuple[str, ...]:
    """The area whose list decides after the move: the nearest one that has the item, where that is not known."""
    return (gap["new"],) if gap["new"] else (gap["moved_to"], *divisions.ancestors(gap["moved_to"]))


def _gap(g: Any, clauses: Mapping[tuple[str, str], Sequence[Any]]) -> GapShown:
    gap = MoveGap(
        **{name: g[name] for name in ("item", "old", "moved_to", "moved_on", "new", "why")},
        left=g["left_division"],
        first_month=month_text(g["first_month"]),
        until_month=month_text(g["until_month"]) if g["until_month"] else None,
    )
    versions = clauses.get((g["old"], g["item"]), ())
    old = next((v for v in versions if g["old_policy"].endswith(f"@{v['valid_from']}")), None)
    new = next(
        (
            v
            for area in _after(g)
            for v in clauses.get((area, g["item"]), ())
            if v["valid_from"] <= g["moved_on"] and (v["valid_to"] is None or g["moved_on"] < v["valid_to"])
        ),
        None,
    )
    titled = old or new
    title = ITEM_TITLES.get(gap.item) or (titled["item_title"] if titled else gap.item)
    return GapShown(
        **{name: getattr(gap, name) for name in GapShown.model_fields if name in MoveGap.__struct_fields__},
        item_title=title,
        text=gap_text(gap, title),
        old_clause=_clause(old),
        new_clause=_clause(new),
    )


def _clause(row: Any) -> ClauseShown | None:
    return ClauseShown(**{**row, "date": row["issued_on"]}) if row else None
