"""Defines the ingestion service: its routes, Kafka handlers and jobs."""

from shell.jobs import Job
from shell.service import Service

from ingestion.channels import push_events, receive_inbound, show_unverified
from ingestion.channels.show_unverified import forget_unverified
from ingestion.completeness import report_days, show_sources
from ingestion.completeness.count_days import count_days
from ingestion.completeness.watch_sources import watch_sources
from ingestion.corrections import ask_correction
from ingestion.corrections.answer_corrections import answer_corrections
from ingestion.exchange import show_feeds, steer_feeds
from ingestion.exchange.forget_rows import forget_rows
from ingestion.exchange.run_feeds import run_feeds
from ingestion.files import import_file, show_imports
from ingestion.files.forget_imports import forget_imports
from ingestion.files.run_imports import run_imports
from ingestion.people import find_person, reveal_vault
from ingestion.register import register_source, show_coverage
from ingestion.register.declare_coverage import declare_coverage
from ingestion.register.open_topics import keep_topics, open_topics
from ingestion.register.seed_register import seed_register
from ingestion.review import review_groups, review_places, review_quarantine
from ingestion.review.count_waiting import count_waiting
from ingestion.review.end_hints import end_hints
from ingestion.review.escalate_quarantine import escalate_overdue
from ingestion.review.settle_groups import settle_groups
from ingestion.review.settle_silence import settle_silence

service = Service(
    "ingestion",
    routes=[
        push_events.router,
        import_file.router,
        show_imports.router,
        show_feeds.router,
        steer_feeds.router,
        find_person.router,
        reveal_vault.router,
        review_quarantine.router,
        review_places.router,
        review_groups.router,
        show_sources.router,
        show_unverified.router,
        register_source.router,
        show_coverage.router,
        report_days.router,
        ask_correction.router,
    ],
    raw={receive_inbound.TOPICS: receive_inbound.on_pushed},
    jobs=[
        Job("escalate_quarantine", 60.0, escalate_overdue),
        Job("settle_silence", 60.0, settle_silence),
        Job("end_hints", 60.0, end_hints),
        Job("settle_groups", 2.0, settle_groups),
        Job("count_waiting", 60.0, count_waiting),
        Job("count_days", 2.0, count_days),
        Job("answer_corrections", 15.0, answer_corrections),
        Job("watch_sources", 60.0, watch_sources),
        Job("tell_coverage", 5.0, declare_coverage),  # the name is a metric label
        Job("run_imports", 1.0, run_imports),
        Job("forget_imports", 600.0, forget_imports),
        Job("forget_rows", 600.0, forget_rows),
        Job("run_feeds", 1.0, run_feeds),
        Job("open_topics", 0.5, open_topics),
        Job("keep_topics", 30.0, keep_topics),
        Job("forget_unverified", 3600.0, forget_unverified),
    ],
    on_start=seed_register,
    description="Receives facts about people from sources, keeps identities in a vault, and emits the facts.",
)
app = service.app
