"""Alerts as a list, and how many are open."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import Everything, OwnProvider, scope_of
from shell.http.answers import Limit
from shell.service import Db

from supervision.alert_answers import AlertShown, show
from supervision.domain.alerts import AlertState
from supervision.store import alerts as store

router = APIRouter(tags=["alerts"])
Reader = Annotated[Caller, Depends(require("provider", "officer", "approver", "auditor"))]


class AlertPage(BaseModel):
    alerts: list[AlertShown] = Field(description="newest first")
    next: UUID | None = Field(description="give it as `after` for the next page")


class OpenAlerts(BaseModel):
    open: int
    by_check: dict[str, int]


@router.get("/v1/alerts", response_model=AlertPage)
async def list_alerts(
    caller: Reader,
    db: Db,
    state: Annotated[list[AlertState] | None, Query(max_length=10)] = None,
    check: Annotated[str | None, Query(pattern="^[a-z0-9_]{1,64}$")] = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> dict[str, object]:
    """Alerts of the caller's area, and those between it and another; a provider sees those about its own visits."""
    scope = scope_of(caller)
    async with db.reading() as connection:
        areas = None
        if not isinstance(scope, Everything | OwnProvider):
            areas = [a for a in await store.list_alert_areas(connection) if scope.sees(a)]
        rows = await store.list_alerts(
            connection,
            states=state or [],
            check=check,
            provider=scope.provider if isinstance(scope, OwnProvider) else None,
            areas=areas,
            after=str(after) if after else None,
            limit=limit,
        )
        shown = await show(connection, rows, clock.now())
    return {
        "alerts": shown,
        "next": rows[-1]["alert_id"] if len(rows) == limit else None,
    }


@router.get("/v1/alerts/open", response_model=OpenAlerts)
async def count_open_alerts(
    caller: Annotated[Caller, Depends(require("officer", "approver", "auditor"))], db: Db
) -> dict[str, object]:
    """How many alerts of the caller's area are not closed."""
    async with db.reading() as connection:
        rows = [
            row
            for row in await store.count_open(connection)
            if caller.may_see(row["division"]) or (row["other_division"] and caller.may_see(row["other_division"]))
        ]
    by_check: dict[str, int] = {}
    for row in rows:
        by_check[row["check_id"]] = by_check.get(row["check_id"], 0) + row["count"]
    return {"open": sum(by_check.values()), "by_check": by_check}
