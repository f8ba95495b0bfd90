"""Dispatch plans visits to persons, offers the visit tasks to providers, and takes the providers' answers."""

from common.events import EntitlementsDecided, VisitDisputed, VisitVerified
from shell.jobs import Job
from shell.service import Service

from dispatch import answer_task, follow_feed, list_tasks, manage_task, place_tasks, register_provider, take_replies
from dispatch.open_topics import forget_old_messages, keep_topics, open_topics
from dispatch.place_tasks import place_again
from dispatch.plan_visits import on_entitlements_decided, open_due_windows
from dispatch.record_verdicts import on_visits_judged
from dispatch.watch_tasks import watch_tasks

service = Service(
    "dispatch",
    routes=[
        register_provider.router,
        list_tasks.router,
        place_tasks.router,
        answer_task.router,
        manage_task.router,
        follow_feed.router,
    ],
    handlers={
        EntitlementsDecided: on_entitlements_decided,
        VisitVerified: on_visits_judged,
        VisitDisputed: on_visits_judged,
    },
    raw={take_replies.TOPICS: take_replies.on_replies},
    jobs=[
        Job("open_due_windows", 1.0, open_due_windows),
        Job("watch_tasks", 1.0, watch_tasks),
        Job("place_again", 1.0, place_again),
        Job("open_topics", 0.5, open_topics),
        Job("keep_topics", 30.0, keep_topics),
        Job("forget_old_messages", 3600.0, forget_old_messages),
    ],
    description="Visit plans, tasks and providers. Offers go out by Kafka or feed; answers arrive by Kafka or HTTP.",
)
app = service.app
