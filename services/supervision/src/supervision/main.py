"""Supervision reads all topics except those of providers.

It keeps the trace of every change, judges visits, raises alerts and counts people.
"""

from shell.jobs import Job
from shell.service import Service

from supervision import count_people, decide_alert, list_alerts, list_unreached, trace_change
from supervision.domain.events import TASK_STATES
from supervision.intake import Intake, topics
from supervision.judge_visits import judge_waiting, on_visit_steps
from supervision.keep_clauses import on_policies_published
from supervision.keep_people import on_abilities_determined, on_dues_determined, on_entitlements_decided
from supervision.raise_alerts import (
    on_accounts_changed,
    on_budgets_used,
    on_foreign_events_grouped,
    on_policies_halted,
    on_records_parked,
    on_recoveries,
    raise_overdue,
)
from supervision.record_steps import on_events, remove_old

intake = Intake(
    every=on_events,
    by_types={
        ("EntitlementsDecided",): on_entitlements_decided,
        ("AbilitiesDetermined",): on_abilities_determined,
        ("DuesDetermined",): on_dues_determined,
        tuple(TASK_STATES): on_visit_steps,
        ("RecoveryOpened", "RecoveryClosed"): on_recoveries,
        ("AccountChanged",): on_accounts_changed,
        ("ForeignEventsGrouped",): on_foreign_events_grouped,
        ("RecordParked",): on_records_parked,
        ("ReadBudgetUsed",): on_budgets_used,
        ("PolicyVersionHalted",): on_policies_halted,
        ("PolicyVersionPublished",): on_policies_published,
    },
)
service = Service(
    "supervision",
    routes=[trace_change.router, count_people.router, list_unreached.router, list_alerts.router, decide_alert.router],
    raw=dict.fromkeys(topics(), intake),
    gather_seconds=0.2,
    gather_records=2_000,
    jobs=[
        Job("judge_waiting", 5.0, judge_waiting),
        Job("raise_overdue", 5.0, raise_overdue),
        Job("remove_old_steps", 60.0, remove_old),
    ],
    description="The chain of every change, verified visits, alerts as cases, statistics, people not reached.",
)
app = service.app
