"""Figures out of measurements. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

Key = tuple[str, ...]


def percentile(values: Sequence[float], per_cent: float) -> float | None:
    """The smallest value that `per_cent` of all values do not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, ceil(per_cent / 100 * len(ordered)) - 1)]


def spread_ms(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """p50 and p99 in milliseconds, and how many there were."""

    def in_ms(value: float | None) -> float | None:
        return None if value is None else round(value * 1000, 1)

    return {"p50": in_ms(percentile(seconds, 50)), "p99": in_ms(percentile(seconds, 99)), "count": len(seconds)}


def ratio(ours: float | None, other: float | None) -> float | None:
    return round(ours / other, 3) if ours and other else None


def flat(results: Mapping[str, Any], above: Key = ()) -> Iterable[tuple[str, Any]]:
    """`{"a": {"b": 1}}` → `("a.b", 1)`, in order."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            yield from flat(value, (*above, name))
        else:
            yield ".".join((*above, name)), value


def merged(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees in one; `right` wins where both name a figure."""
    together = dict(left)
    for name, value in right.items():
        before = together.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        together[name] = merged(before, value) if both else value  # type: ignore[arg-type]
    return together
