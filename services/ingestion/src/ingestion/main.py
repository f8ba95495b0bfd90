"""The whole service on one screen."""

from common.jobs import Job
from common.service import Service

from ingestion import find_person, push_events, receive_inbound, report_days, reveal_vault, review_quarantine
from ingestion.escalate_quarantine import escalate_overdue

service = Service(
    "ingestion",
    routes=[
        push_events.router,
        find_person.router,
        reveal_vault.router,
        review_quarantine.router,
        report_days.router,
    ],
    raw={"population.inbound": receive_inbound.on_pushed},
    jobs=[Job("escalate_quarantine", 60.0, escalate_overdue)],
    description="Takes in what sources say about people, keeps identities in a vault, and tells the facts.",
)
app = service.app
