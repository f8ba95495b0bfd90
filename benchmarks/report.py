"""The table that a reader sees."""

from collections.abc import Mapping
from typing import Any

from benchmarks.figures import flat

# what the platform shall reach on two cores, and whether more is better
WANTED: Mapping[str, tuple[float, bool]] = {
    "chain.changes_per_s": (2_000, True),
    "chain.ratio_to_usual": (10, True),
    "chain.ratio_to_limit": (0.25, True),
    "latency.provider_topic_ms.p99": (1_000, False),
    "latency.death_under_burst_ms.p99": (5_000, False),
    "county.memory_growth": (1.25, False),
    "county.redecide.look.people_per_s": (10_000, True),
    "county.redecide.everybody.simulated_seconds": (60, False),
    "county.few_time_to_everybody": (0.1, False),
    **{
        f"memory_mb.{service}": (400.0, False)
        for service in (
            "ingestion",
            "identification",
            "assessment",
            "dispatch",
            "subsidy",
            "supervision",
            "console",
        )
    },
}


def verdict(key: str, value: Any) -> str:
    """What is wanted of a figure, and whether it is so; empty where nothing is."""
    if key not in WANTED or not isinstance(value, int | float):
        return ""
    wanted, more_is_better = WANTED[key]
    is_met = value >= wanted if more_is_better else value <= wanted
    return f"{'≥' if more_is_better else '≤'} {wanted:g} {'met' if is_met else 'MISSED'}"


def table(results: Mapping[str, Any]) -> str:
    """One line per figure."""
    rows = [(key, _shown(value), verdict(key, value)) for key, value in flat(results)]
    width = max(len(key) for key, _, _ in rows)
    return "\n".join(f"{key:<{width}}  {shown:>14}  {judged}".rstrip() for key, shown, judged in rows)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}"
