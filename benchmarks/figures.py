"""Computes percentiles and ratios, and joins trees of figures. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

Key = tuple[str, ...]
Figures = dict[str, Any]  # a tree of figures, by name


def percentile(values: Sequence[float], per_cent: float) -> float | None:
    """The percentile by nearest rank; None without values. `per_cent` is above 0."""
    if not values:
        return None
    rank = ceil(per_cent / 100 * len(values))
    return sorted(values)[rank - 1]


def spread_ms(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """p50 and p99 in milliseconds, and the number of values."""
    return {"p50": _percentile_ms(seconds, 50), "p99": _percentile_ms(seconds, 99), "count": len(seconds)}


def _percentile_ms(seconds: Sequence[float], per_cent: float) -> float | None:
    found = percentile(seconds, per_cent)
    return None if found is None else round(found * 1000, 1)


def throughput(changes: int, seconds: float) -> dict[str, float]:
    """The figures `changes`, `seconds` and `changes_per_s`."""
    return {"changes": changes, "seconds": round(seconds, 1), "changes_per_s": round(changes / seconds, 1)}


def ratio(ours: float | None, other: float | None) -> float | None:
    """`ours` divided by `other`, with three decimals; None if one is missing or zero."""
    return round(ours / other, 3) if ours and other else None


def flat(results: Mapping[str, Any], above: Key = ()) -> Iterable[tuple[str, Any]]:
    """Yield each figure of a tree with its path: `{"a": {"b": 1}}` gives `("a.b", 1)`."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            yield from flat(value, (*above, name))
        else:
            yield ".".join((*above, name)), value


def merged(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees in one. If both have a figure, the one of `right` is kept."""
    result = dict(left)
    for name, value in right.items():
        before = result.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = merged(before, value)
        result[name] = value
    return result
