"""Writes the table of results, with a verdict for each figure that has a target."""

from collections.abc import Mapping
from typing import Any

from shouwang.runtime.services import SERVICES

from benchmarks.figures import flat

MEMORY_MB_MAX = 400.0
# Target on two cores, and whether a higher value is better.
TARGETS: Mapping[str, tuple[float, bool]] = {
    "chain.changes_per_s": (2_000, True),
    "chain.ratio_to_usual": (10, True),
    "chain.ratio_to_limit": (0.25, True),
    "latency.provider_topic_ms.p99": (1_000, False),
    "latency.death_under_burst_ms.p99": (5_000, False),
    "county.memory_growth": (1.25, False),
    "county.redecide.look.people_per_s": (10_000, True),
    "county.redecide.everybody.simulated_seconds": (60, False),
    "county.few_time_to_everybody": (0.1, False),
    **{f"memory_mb.{service}": (MEMORY_MB_MAX, False) for service in SERVICES},
}


def verdict(key: str, value: Any) -> str:
    """The target of a figure and whether it is met; empty if the figure has no target."""
    if key not in TARGETS or not isinstance(value, int | float):
        return ""
    target, more_is_better = TARGETS[key]
    if more_is_better:
        return f"≥ {target:g} {_met(value >= target)}"
    return f"≤ {target:g} {_met(value <= target)}"


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def table(results: Mapping[str, Any]) -> str:
    """The results as text: one line per figure, with its verdict."""
    figures = list(flat(results))
    width = max(len(key) for key, _ in figures)
    return "\n".join(f"{key:<{width}}  {_shown(value):>14}  {verdict(key, value)}".rstrip() for key, value in figures)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}"
