"""The table and the verdicts that a reader sees. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.compare.pairs import Compared, Spread


def table(compared: Sequence[Compared]) -> str:
    """One line per figure: median (lowest to highest) of each side, ratio of medians, ratio of each pair."""
    head = ("figure", "A median (min to max)", "B median (min to max)", "B/A", "B/A of each pair")
    rows = [head]
    for one in compared:
        ratios = " ".join(f"{ratio:.2f}" for ratio in one.pair_ratios)
        rows.append((one.name, _shown(one.a), _shown(one.b), f"{one.ratio:.3f}", ratios))
    return _aligned(rows)


def verdicts(compared: Sequence[Compared]) -> str:
    """One line per figure with a limit."""
    lines = []
    for one in compared:
        if one.limit is None:
            continue
        line = f"{one.name} within {one.limit:.0%}: {'yes' if one.is_within else 'NO'} ({one.ratio - 1:+.1%})"
        if not one.is_certain:
            low, high = min(one.pair_ratios) - 1, max(one.pair_ratios) - 1
            line += f"; not every pair agrees ({low:+.1%} to {high:+.1%}): more pairs or a quieter machine would help"
        lines.append(line)
    return "\n".join(lines)


def by_process(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Median processor milliseconds per change of every process. `runs`: by side, one mapping per run."""
    medians = {side: _medians(found) for side, found in runs.items()}
    names = sorted({name for side in medians.values() for name in side})
    rows = [("process", *(f"{side} ms per change" for side in medians))]
    for name in names:
        rows.append((name, *(f"{side[name]:.4f}" if name in side else "none" for side in medians.values())))
    return _aligned(rows)


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for run in runs for name in run}
    return {name: median(run.get(name, 0.0) for run in runs) for name in names}


def _shown(spread: Spread) -> str:
    return f"{spread.median:,.3f} ({spread.low:,.3f} to {spread.high:,.3f})"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
