"""The whole service on one screen."""

from common.jobs import Job
from common.service import Service

from ingestion import (
    ask_correction,
    find_person,
    import_file,
    list_audits,
    push_events,
    receive_inbound,
    register_source,
    report_days,
    reveal_vault,
    review_groups,
    review_places,
    review_quarantine,
    show_coverage,
    show_feeds,
    show_imports,
    show_sources,
    show_unverified,
    steer_feeds,
)
from ingestion.answer_corrections import answer_corrections
from ingestion.count_days import count_days
from ingestion.count_waiting import count_waiting
from ingestion.end_hints import end_hints
from ingestion.escalate_quarantine import escalate_overdue
from ingestion.forget_imports import forget_imports
from ingestion.open_topics import keep_topics, open_topics
from ingestion.run_feeds import run_feeds
from ingestion.run_imports import run_imports
from ingestion.settle_groups import settle_groups
from ingestion.settle_silence import settle_silence
from ingestion.show_unverified import forget_unverified
from ingestion.sources import seed_register
from ingestion.tell_coverage import tell_coverage
from ingestion.watch_sources import watch_sources

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
        list_audits.router,
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
        Job("tell_coverage", 5.0, tell_coverage),
        Job("run_imports", 1.0, run_imports),
        Job("forget_imports", 600.0, forget_imports),
        Job("run_feeds", 1.0, run_feeds),
        Job("open_topics", 0.5, open_topics),
        Job("keep_topics", 30.0, keep_topics),
        Job("forget_unverified", 3600.0, forget_unverified),
    ],
    on_start=seed_register,
    description="Takes in what sources say about people, keeps identities in a vault, and tells the facts.",
)
app = service.app
