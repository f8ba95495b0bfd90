"""Computes ratios and verdicts from the figures of alternating pairs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

# The share by which B may cost more than A. A figure without a limit is shown without a verdict.
LIMITS: Mapping[str, float] = {
    "burst.cpu_ms_per_change": 0.05,
    "burst.wall_ms_per_change": 0.10,
    "singles.cpu_ms_per_change": 0.05,
}


Pair = tuple[Mapping[str, float], Mapping[str, float]]  # the figures of A and of B, by name


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, lowest and highest value of one side."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        return {"median": self.median, "min": self.low, "max": self.high}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure on both sides. A higher value is always worse, because the unit is milliseconds.

    `ratio`: median of B divided by median of A. `pair_ratios`: B divided by A within each pair. `limit`: the share by
    which B may cost more; None without a limit.
    """

    name: str
    a: Spread
    b: Spread
    ratio: float
    pair_ratios: tuple[float, ...]
    limit: float | None

    @property
    def is_within(self) -> bool | None:
        """Whether B costs at most `limit` more. None if the figure has no limit."""
        return None if self.limit is None else self.ratio <= 1 + self.limit

    @property
    def is_certain(self) -> bool:
        """Whether all pairs agree with the verdict, and always true without a limit.

        If not, the noise of the machine is as large as the limit.
        """
        if self.limit is None:
            return True
        return all((ratio <= 1 + self.limit) == self.is_within for ratio in self.pair_ratios)

    def as_json(self) -> dict[str, Any]:
        """The values for the file of results, with rounded ratios."""
        return {
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "ratio_of_medians": round(self.ratio, 3),
            "pair_ratios": [round(ratio, 3) for ratio in self.pair_ratios],
            "limit": self.limit,
            "is_within": self.is_within,
            "all_pairs_agree": self.is_certain,
        }


def compare(pairs: Sequence[Pair]) -> list[Compared]:
    """Compare the figures that all runs have, in the order of the first run.

    Raises ValueError without a pair, or if a figure of A is zero or less, because then no ratio exists.
    """
    if not pairs:
        raise ValueError("a comparison needs at least one pair")
    runs = [run for pair in pairs for run in pair]
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return [_compare_one(name, [(a[name], b[name]) for a, b in pairs]) for name in names]


def _compare_one(name: str, values: Sequence[tuple[float, float]]) -> Compared:
    if any(a <= 0 for a, _ in values):
        raise ValueError(f"{name} of A is not above zero: no ratio exists")
    a, b = Spread.of([a for a, _ in values]), Spread.of([b for _, b in values])
    ratios = tuple(b / a for a, b in values)
    return Compared(name, a, b, b.median / a.median, ratios, LIMITS.get(name))


def is_within(compared: Sequence[Compared]) -> bool:
    """Whether every figure with a limit keeps it."""
    return all(one.is_within is not False for one in compared)
