"""From the figures of alternating pairs to ratios and verdicts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

# The share by which B may be dearer than A. A figure without a limit is shown and not judged.
LIMITS: Mapping[str, float] = {
    "burst.cpu_ms_per_change": 0.05,
    "burst.wall_ms_per_change": 0.10,
    "singles.cpu_ms_per_change": 0.05,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, lowest and highest of the values of one side."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure on both sides. More is always worse: milliseconds per change, or milliseconds of latency.

    `ratio` is the median of B by the median of A; `pair_ratios` are B by A within each pair. `limit`: the share by
    which B may be dearer, if there is a limit.
    """

    name: str
    a: Spread
    b: Spread
    ratio: float
    pair_ratios: tuple[float, ...]
    limit: float | None

    @property
    def is_within(self) -> bool | None:
        """Is B at most `limit` dearer? None if the figure has no limit."""
        return None if self.limit is None else self.ratio <= 1 + self.limit

    @property
    def is_certain(self) -> bool:
        """Do all pairs agree with the verdict? If not, the noise of the machine is as large as the limit."""
        if self.limit is None:
            return True
        return all((ratio <= 1 + self.limit) == self.is_within for ratio in self.pair_ratios)

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return {
            "a": {"median": self.a.median, "min": self.a.low, "max": self.a.high},
            "b": {"median": self.b.median, "min": self.b.low, "max": self.b.high},
            "ratio_of_medians": round(self.ratio, 3),
            "pair_ratios": [round(ratio, 3) for ratio in self.pair_ratios],
            "limit": self.limit,
            "is_within": self.is_within,
            "all_pairs_agree": self.is_certain,
        }


def compare(pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> list[Compared]:
    """Every figure that all runs have, in the order of the first run. `pairs`: the figures of A and of B by name.

    Raises ValueError without a pair, or if A has a figure of zero or less: no ratio to it says anything.
    """
    if not pairs:
        raise ValueError("a comparison needs at least one pair")
    names = [name for name in pairs[0][0] if all(name in side for pair in pairs for side in pair)]
    return [_compare_one(name, [(a[name], b[name]) for a, b in pairs]) for name in names]


def _compare_one(name: str, values: Sequence[tuple[float, float]]) -> Compared:
    if any(a <= 0 for a, _ in values):
        raise ValueError(f"{name} of A is not above zero: no ratio to it says anything")
    a, b = Spread.of([a for a, _ in values]), Spread.of([b for _, b in values])
    ratios = tuple(b / a for a, b in values)
    return Compared(name, a, b, b.median / a.median, ratios, LIMITS.get(name))


def is_within(compared: Sequence[Compared]) -> bool:
    """Does every figure with a limit keep it?"""
    return all(one.is_within is not False for one in compared)
