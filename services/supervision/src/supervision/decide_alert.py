"""Act on an alert: the provider explains, the officer confirms or dismisses, and closes."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common import calendar
from common.errors import Conflict, NotAllowed, NotFound
from common.events import AlertClosed
from fastapi import APIRouter
from shell import clock
from shell.access.auth import Caller
from shell.access.read_budget import case_of
from shell.access.scopes import OwnProvider, scope_of
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from supervision.alert_answers import answer
from supervision.callers import Officer, Provider
from supervision.checks import checks
from supervision.domain.alerts import Action, Refused, decide_step
from supervision.shapes import AlertOut, ReasonIn
from supervision.store import alerts as store
from supervision.store import visits
from supervision.store.alerts import Alert
from supervision.verdicts import judge

router = APIRouter(tags=["alerts"])
OWN_CASE_DAYS: Final = 31


async def _lock(tx: Tx, alert_id: UUID, action: Action, caller: Caller, now: datetime) -> Alert:
    """Lock an alert if the caller may do `action` now. Raises NotFound, NotAllowed, or Conflict for a wrong state."""
    alert = await store.lock_alert(tx, str(alert_id))
    if alert is None:
        raise NotFound("no alert has this id")
    _require_access(alert, caller)
    step = decide_step(
        alert.state, action, has_provider=alert.provider is not None, explain_by=alert.explain_by, now=now
    )
    if isinstance(step, Refused):
        raise Conflict(step.reason, code="not_now", state=alert.state)
    return alert


def _require_access(alert: Alert, caller: Caller) -> None:
    """Check that the caller may act on an alert. Raises NotAllowed outside the caller's scope, and for a case about
    the caller's own reads."""
    scope = scope_of(caller)
    if isinstance(scope, OwnProvider):
        if alert.provider != scope.provider:
            raise NotAllowed("this alert is not about a visit of yours")
    elif alert.other_division is None or not scope.sees(alert.other_division):
        caller.need_area(alert.division)
    if alert.check_id == "read_budget" and _is_own(alert, caller):
        raise NotAllowed("this case is about your own reads", code="own_case")


def _is_own(alert: Alert, caller: Caller) -> bool:
    """Whether a case is about the caller's reads. The reads are at most 30 days older than the case, for example after
    an outage."""
    raised_on = calendar.civil_date(alert.raised_at)
    days = (raised_on - timedelta(days=back) for back in range(OWN_CASE_DAYS))
    return any(alert.subject == case_of(caller.user, day) for day in days)


async def _audit(tx: Tx, caller: Caller, act: Action, alert: Alert, reason: str) -> None:
    people = [str(alert.person_id)] if alert.person_id else []
    await audits.append(tx, caller, act=act, purpose=reason, cause=str(alert.alert_id), person_ids=people)


@router.post("/v1/alerts/{alert_id}/explain")
async def explain_alert(alert_id: UUID, explanation: ReasonIn, caller: Provider, db: Db) -> AlertOut:
    """The provider explains the finding."""
    now = clock.now()
    async with db.transaction() as tx:
        locked = await _lock(tx, alert_id, "explain", caller, now)
        await _audit(tx, caller, "explain", locked, explanation.reason)
        alert = await store.save_explanation(tx, str(alert_id), explanation.reason, caller.user)
        return await answer(tx.sql, alert, now)


@router.post("/v1/alerts/{alert_id}/confirm")
async def confirm_alert(alert_id: UUID, decision: ReasonIn, caller: Officer, db: Db) -> AlertOut:
    """Confirm the finding."""
    now = clock.now()
    async with db.transaction() as tx:
        locked = await _lock(tx, alert_id, "confirm", caller, now)
        await _audit(tx, caller, "confirm", locked, decision.reason)
        alert = await store.save_decision(tx, str(alert_id), "confirmed", decision.reason, caller.user)
        return await answer(tx.sql, alert, now)


@router.post("/v1/alerts/{alert_id}/dismiss")
async def dismiss_alert(alert_id: UUID, decision: ReasonIn, caller: Officer, db: Db) -> AlertOut:
    """Dismiss the finding. If it is about a visit, it no longer disputes the visit, which is judged again. A dismissed
    V01 of the day of death disputes the visit if the death proves to be earlier."""
    now = clock.now()
    async with db.transaction() as tx:
        locked = await _lock(tx, alert_id, "dismiss", caller, now)
        await _audit(tx, caller, "dismiss", locked, decision.reason)
        alert = await store.save_decision(tx, str(alert_id), "dismissed", decision.reason, caller.user)
        if alert.severity == checks().named(alert.check_id).severity:  # a milder circumstance may end
            await visits.waive(tx, alert.subject, alert.check_id)
        await judge(tx, [alert.subject], now, {})
        return await answer(tx.sql, alert, now)


@router.post("/v1/alerts/{alert_id}/close")
async def close_alert(alert_id: UUID, caller: Officer, db: Db) -> AlertOut:
    """Close the case after the decision was carried out."""
    now = clock.now()
    async with db.transaction() as tx:
        locked = await _lock(tx, alert_id, "close", caller, now)
        await _audit(tx, caller, "close", locked, "alert")
        alert = await store.save_closing(tx, str(alert_id), now)
        if alert.person_id is not None:
            assert alert.outcome is not None, "only a decided case is closed"
            event = AlertClosed(
                person_id=alert.person_id,
                alert_id=alert.alert_id,
                outcome=alert.outcome,
                other_division=alert.other_division,
            )
            tx.emit(event, alert.correlation_id, division=alert.division)
        return await answer(tx.sql, alert, now)
