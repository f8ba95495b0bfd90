"""Figures out of measurements, and the table."""

from benchmarks.figures import flat, merged, percentile, ratio, spread_ms
from benchmarks.report import table, verdict


def test_a_percentile_is_a_value_that_was_measured() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert percentile(hundred, 50) == 50
    assert percentile(hundred, 99) == 99
    assert percentile([3.0, 1.0, 2.0], 99) == 3
    assert percentile([7.0], 50) == 7
    assert percentile([], 99) is None


def test_a_spread_tells_how_many_it_is_of() -> None:
    assert spread_ms([0.010, 0.020, 0.030]) == {"p50": 20.0, "p99": 30.0, "count": 3}
    assert spread_ms([]) == {"p50": None, "p99": None, "count": 0}


def test_a_ratio_to_nothing_is_unknown_and_not_infinite() -> None:
    assert ratio(2000, 100) == 20
    assert ratio(2000, None) is None
    assert ratio(None, 100) is None
    assert ratio(2000, 0) is None


def test_parts_are_put_together_without_losing_a_figure() -> None:
    one = {"latency": {"due_ms": {"p50": 1}}, "cpu_s": {"kafka": 2}}
    two = {"latency": {"death_under_burst_ms": {"p99": 3}}, "cpu_s": {"kafka": 4}}
    assert dict(flat(merged(one, two))) == {
        "latency.due_ms.p50": 1,
        "latency.death_under_burst_ms.p99": 3,
        "cpu_s.kafka": 4,
    }


def test_the_table_says_where_a_figure_falls_short() -> None:
    assert verdict("chain.changes_per_s", 1999.9).endswith("MISSED")
    assert verdict("chain.changes_per_s", 2000).endswith("met")
    assert verdict("memory_mb.dispatch", 401).endswith("MISSED")
    assert verdict("memory_mb.kafka", 900) == ""
    assert "MISSED" in table({"chain": {"changes_per_s": 12.0}})
