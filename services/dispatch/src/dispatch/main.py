"""Dispatch: who is to be visited, by whom and by when, and what became of it."""

from common.events import EntitlementsDecided
from common.jobs import Job
from common.service import Service

from dispatch.plan_visits import on_entitlements_decided, open_due_windows

service = Service(
    "dispatch",
    handlers={EntitlementsDecided: on_entitlements_decided},
    jobs=[Job("open_due_windows", 1.0, open_due_windows)],
    description="Visit plans, tasks and providers.",
)
app = service.app
