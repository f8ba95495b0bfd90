"""Prometheus metrics of the platform, counted once per batch or request. No label ever holds a person."""

from prometheus_client import Counter, Gauge, Histogram

batches = Histogram(
    "shouwang_batch_seconds",
    "Time from fetch to commit of one batch",
    ["consumer"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30),
)
records = Counter("shouwang_records", "Records processed", ["consumer"])
parked = Counter("shouwang_parked", "Records parked", ["consumer", "reason"])
fenced = Counter("shouwang_fenced", "Batches dropped because the partition was taken over", ["consumer"])
stopped = Gauge(
    "shouwang_partitions_stopped", "Partitions not read until an operator resumes them", ["consumer", "topic"]
)
retention_used = Gauge(
    "shouwang_retention_used_ratio",
    "Age of the oldest unread record, as a share of the time that its topic keeps records",
    ["consumer", "topic"],
)
stalled = Gauge("shouwang_stalled", "1 while work waits and this part does not move", ["service", "part"])
replaced = Counter("shouwang_replaced", "Times a part or its client was replaced", ["service", "part"])
relayed = Counter("shouwang_relayed", "Events sent from the outbox", ["service"])
audits_sealed = Counter("shouwang_audits_sealed", "Rows of the audit log sealed into its hash chain", ["service"])
outbox_age = Gauge("shouwang_outbox_age_seconds", "Age of the oldest unsent event", ["service"])
requests = Histogram(
    "shouwang_request_seconds",
    "HTTP requests",
    ["service", "route", "status"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
limited = Counter("shouwang_limited", "Requests and connections ended by a limit of the settings", ["limit"])


def batch(consumer: str, count: int, seconds: float) -> None:
    """Count one settled batch: its number of records, and its seconds."""
    batches.labels(consumer).observe(seconds)
    records.labels(consumer).inc(count)
