"""Tests of the figures and of their table."""

from benchmarks.figures import flat, merged, percentile, ratio, spread_ms
from benchmarks.report import table, verdict


def test_a_percentile_is_a_value_that_was_measured() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert percentile(hundred, 50) == 50
    assert percentile(hundred, 99) == 99
    assert percentile([3.0, 1.0, 2.0], 99) == 3
    assert percentile([7.0], 50) == 7
    assert percentile([], 99) is None


def test_a_spread_has_the_number_of_its_values() -> None:
    assert spread_ms([0.010, 0.020, 0.030]) == {"p50": 20.0, "p99": 30.0, "count": 3}
    assert spread_ms([]) == {"p50": None, "p99": None, "count": 0}


def test_a_ratio_without_both_values_is_unknown_and_not_infinite() -> None:
    assert ratio(2000, 100) == 20
    assert ratio(2000, None) is None
    assert ratio(None, 100) is None
    assert ratio(2000, 0) is None


def test_merged_results_keep_the_figures_of_both_parts() -> None:
    one = {"latency": {"due_ms": {"p50": 1}}, "cpu_s": {"kafka": 2}}
    two = {"latency": {"death_under_burst_ms": {"p99": 3}}, "cpu_s": {"kafka": 4}}
    assert dict(flat(merged(one, two))) == {
        "latency.due_ms.p50": 1,
        "latency.death_under_burst_ms.p99": 3,
        "cpu_s.kafka": 4,
    }


def test_the_table_marks_a_figure_that_misses_its_target() -> None:
    assert verdict("chain.changes_per_s", 1999.9).endswith("MISSED")
    assert verdict("chain.changes_per_s", 2000).endswith("met")
    assert verdict("memory_mb.dispatch", 401).endswith("MISSED")
    assert verdict("memory_mb.kafka", 900) == ""
    assert "MISSED" in table({"chain": {"changes_per_s": 12.0}})
