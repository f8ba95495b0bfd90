"""Writes the tables and verdicts of a comparison as text. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.compare.pairs import Compared, Spread


def table(compared: Sequence[Compared]) -> str:
    """One line per figure: median (lowest to highest) of each side, ratio of the medians, ratio of each pair."""
    head = ("figure", "A median (min to max)", "B median (min to max)", "B/A", "B/A of each pair")
    rows = [head]
    for one in compared:
        ratios = " ".join(f"{ratio:.2f}" for ratio in one.pair_ratios)
        rows.append((one.name, _shown(one.a), _shown(one.b), f"{one.ratio:.3f}", ratios))
    return _aligned(rows)


def verdicts(compared: Sequence[Compared]) -> str:
    """One line per figure with a limit: whether B keeps the limit, and whether all pairs agree."""
    return "\n".join(_verdict(one, one.limit) for one in compared if one.limit is not None)


def _verdict(one: Compared, limit: float) -> str:
    line = f"{one.name} within {limit:.0%}: {'yes' if one.is_within else 'NO'} ({one.ratio - 1:+.1%})"
    if one.is_certain:
        return line
    low, high = min(one.pair_ratios) - 1, max(one.pair_ratios) - 1
    return f"{line}; not every pair agrees ({low:+.1%} to {high:+.1%}): more pairs or a quieter machine would help"


def by_process(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Median processor milliseconds per change of every process. `runs`: by side, one mapping per run."""
    sides = {side: _medians(found) for side, found in runs.items()}
    rows = [("process", *(f"{side} ms per change" for side in sides))]
    for process in sorted({process for medians in sides.values() for process in medians}):
        rows.append((process, *(_shown_cost(medians.get(process)) for medians in sides.values())))
    return _aligned(rows)


def _shown_cost(milliseconds: float | None) -> str:
    return "none" if milliseconds is None else f"{milliseconds:.4f}"


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for run in runs for name in run}
    return {name: median(run.get(name, 0.0) for run in runs) for name in names}


def _shown(spread: Spread) -> str:
    return f"{spread.median:,.3f} ({spread.low:,.3f} to {spread.high:,.3f})"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = _widths(rows)
    return "\n".join(_aligned_row(row, widths) for row in rows)


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _aligned_row(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(cells).rstrip()
