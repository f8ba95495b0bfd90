"""List alerts, and count the open ones."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from shell import clock
from shell.access.auth import Caller
from shell.access.scopes import Everything, OwnProvider, scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db

from supervision.alert_answers import answers
from supervision.callers import Reader, ReaderOrProvider
from supervision.domain.alerts import AlertState
from supervision.shapes import AlertPageOut, OpenAlertsOut
from supervision.store import alerts as store
from supervision.store.alerts import OpenCount

router = APIRouter(tags=["alerts"])


@router.get("/v1/alerts")
async def list_alerts(
    caller: ReaderOrProvider,
    db: Db,
    state: Annotated[list[AlertState] | None, Query(max_length=10)] = None,
    check: Annotated[str | None, Query(pattern="^[a-z0-9_]{1,64}$")] = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> AlertPageOut:
    """List the alerts of the caller's area, newest first. An alert between two areas belongs to both. A provider sees
    the alerts about its own visits."""
    scope = scope_of(caller)
    async with db.transaction() as tx:
        areas = None
        if not isinstance(scope, Everything | OwnProvider):
            areas = [area for area in await store.list_alert_areas(tx.sql) if scope.sees(area)]
        found = await store.list_alerts(
            tx.sql,
            states=state or [],
            check=check,
            provider=scope.provider if isinstance(scope, OwnProvider) else None,
            areas=areas,
            after=str(after) if after else None,
            limit=limit,
        )
        alerts = await answers(tx.sql, found, clock.now())
        if caller.role != "provider":
            people = sorted({str(alert.person_id) for alert in found if alert.person_id})
            await audits.append(tx, caller, act="search", purpose="alerts", person_ids=people)
    return AlertPageOut(alerts=alerts, next=alerts[-1].alert_id if len(alerts) == limit else None)


@router.get("/v1/alerts/open")
async def count_open_alerts(caller: Reader, db: Db) -> OpenAlertsOut:
    """The number of alerts of the caller's area that are not closed."""
    by_check: Counter[str] = Counter()
    async with db.reading() as connection:
        for row in await store.count_open(connection):
            if _may_see(caller, row):
                by_check[row.check_id] += row.alerts
    return OpenAlertsOut(open=by_check.total(), by_check=by_check)


def _may_see(caller: Caller, row: OpenCount) -> bool:
    """Whether the caller may see these alerts. A case between two areas belongs to both."""
    return caller.may_see(row.division) or (row.other_division is not None and caller.may_see(row.other_division))
