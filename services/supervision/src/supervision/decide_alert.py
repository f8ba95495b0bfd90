"""What people do with an alert: the provider explains, the officer confirms or dismisses, and closes."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from common import calendar
from common.errors import Conflict, NotAllowed, NotFound
from common.events import AlertClosed
from fastapi import APIRouter, Depends
from pydantic import Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.read_budget import case_of
from shell.access.scopes import OwnProvider, scope_of
from shell.http.params import LINES, Body
from shell.service import Db
from shell.store.transaction import Tx

from supervision.alert_answers import AlertShown, show
from supervision.domain.alerts import Deed, Refused, decide_step
from supervision.store import alerts as store
from supervision.store import visits
from supervision.verdicts import judge

router = APIRouter(tags=["alerts"])
OWN_CASE_DAYS: Final = 31
Explainer = Annotated[Caller, Depends(require("provider"))]
Officer = Annotated[Caller, Depends(require("officer"))]


class Words(Body):
    reason: str = Field(min_length=1, max_length=2000, pattern=LINES, description="why; no names, numbers or addresses")


async def _take(tx: Tx, alert_id: UUID, deed: Deed, caller: Caller, now: datetime) -> Any:
    """The locked alert when `caller` may do `deed` now."""
    row = await store.lock_alert(tx, str(alert_id))
    if row is None:
        raise NotFound("no alert has this id")
    scope = scope_of(caller)
    if isinstance(scope, OwnProvider):
        if row["provider"] != scope.provider:
            raise NotAllowed("this alert is not about a visit of yours")
    elif row["other_division"] is None or not scope.sees(row["other_division"]):
        caller.need_area(row["division"])
    if row["check_id"] == "read_budget" and _is_own(row, caller):
        raise NotAllowed("this case is about what you have read yourself", code="own_case")
    step = decide_step(
        row["state"], deed, has_provider=row["provider"] is not None, explain_by=row["explain_by"], now=now
    )
    if isinstance(step, Refused):
        raise Conflict(step.reason, code="not_now", state=row["state"])
    return row


def _is_own(row: Any, caller: Caller) -> bool:
    """Whether a case about reads is about the caller's. It was raised on the day of the reads, or at most so much
    later as supervision stood still."""
    raised_on = calendar.civil_date(row["raised_at"])
    return any(
        row["subject"] == case_of(caller.subject, raised_on - timedelta(days=back)) for back in range(OWN_CASE_DAYS)
    )


@router.post("/v1/alerts/{alert_id}/explain", response_model=AlertShown)
async def explain_alert(alert_id: UUID, words: Words, caller: Explainer, db: Db) -> dict[str, object]:
    """The provider says how it came about."""
    now = clock.now()
    async with db.transaction() as tx:
        await _take(tx, alert_id, "explain", caller, now)
        row = await store.save_explanation(tx, str(alert_id), words.reason, caller.subject)
        (shown,) = await show(tx.sql, [row], now)
    return shown


@router.post("/v1/alerts/{alert_id}/confirm", response_model=AlertShown)
async def confirm_alert(alert_id: UUID, words: Words, caller: Officer, db: Db) -> dict[str, object]:
    """The finding holds."""
    now = clock.now()
    async with db.transaction() as tx:
        await _take(tx, alert_id, "confirm", caller, now)
        row = await store.save_decision(tx, str(alert_id), "confirmed", words.reason, caller.subject)
        (shown,) = await show(tx.sql, [row], now)
    return shown


@router.post("/v1/alerts/{alert_id}/dismiss", response_model=AlertShown)
async def dismiss_alert(alert_id: UUID, words: Words, caller: Officer, db: Db) -> dict[str, object]:
    """The finding does not hold: it no longer counts against the visit, which is judged again."""
    now = clock.now()
    async with db.transaction() as tx:
        alert = await _take(tx, alert_id, "dismiss", caller, now)
        row = await store.save_decision(tx, str(alert_id), "dismissed", words.reason, caller.subject)
        await visits.waive(tx, alert["subject"], alert["check_id"])
        await judge(tx, [alert["subject"]], now, {})
        (shown,) = await show(tx.sql, [row], now)
    return shown


@router.post("/v1/alerts/{alert_id}/close", response_model=AlertShown)
async def close_alert(alert_id: UUID, caller: Officer, db: Db) -> dict[str, object]:
    """The case is done: what was decided has been carried out."""
    now = clock.now()
    async with db.transaction() as tx:
        alert = await _take(tx, alert_id, "close", caller, now)
        row = await store.save_closing(tx, str(alert_id), now)
        if alert["person_id"] is not None:
            event = AlertClosed(
                person_id=alert["person_id"],
                alert_id=str(alert_id),
                outcome=alert["outcome"],
                other_division=alert["other_division"],
            )
            tx.emit(event, alert["correlation_id"], division=alert["division"])
        (shown,) = await show(tx.sql, [row], now)
    return shown
