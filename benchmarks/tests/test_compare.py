"""Tests of the comparison of two commits: arguments, pairs, verdicts, tables and clean-up."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from shell import clock
from shouwang.runtime import processes
from shouwang.runtime.problems import LocalProblem

from benchmarks.compare import pairs
from benchmarks.compare.checkout import Checkout, resolve
from benchmarks.compare.command import parser, settle_environment, size_of
from benchmarks.compare.measure import per_change
from benchmarks.compare.platform import Cost, discard
from benchmarks.compare.table import by_process, table, verdicts
from benchmarks.compare.work import FULL, QUICK, prepare
from benchmarks.usage import cpu_seconds

CPU, WALL, P99 = "burst.cpu_ms_per_change", "burst.wall_ms_per_change", "singles.provider_topic_p99_ms"
# Changes a second of eight bursts of nearly the same code on one machine within an hour, as wall time per change.
SAME_CODE = [1000 / rate for rate in (1867, 2121, 2071, 1950, 2010, 1899, 2088, 1975)]


def pairs_of(name: str, a: list[float], b: list[float]) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [({name: left}, {name: right}) for left, right in zip(a, b, strict=True)]


def one(name: str, a: list[float], b: list[float]) -> pairs.Compared:
    (found,) = pairs.compare(pairs_of(name, a, b))
    return found


def test_five_equal_pairs_are_within_the_limit() -> None:
    found = one(CPU, [0.97, 0.95, 1.01, 0.98, 0.96], [0.97, 0.95, 1.01, 0.98, 0.96])
    assert (found.ratio, found.is_within, found.is_certain) == (1.0, True, True)
    assert found.a == pairs.Spread(0.97, 0.95, 1.01)


def test_the_ratio_is_that_of_the_medians_so_one_bad_run_does_not_decide() -> None:
    found = one(CPU, [1.0, 1.0, 1.0, 1.0, 1.0], [1.02, 1.03, 1.9, 1.01, 1.02])
    assert found.ratio == pytest.approx(1.02)
    assert found.is_within
    assert not found.is_certain  # the pair with the bad run disagrees


@pytest.mark.parametrize(
    ("name", "factor", "is_within"),
    [(CPU, 1.049, True), (CPU, 1.051, False), (WALL, 1.099, True), (WALL, 1.101, False), (CPU, 0.5, True)],
)
def test_processor_time_may_grow_by_five_per_cent_and_wall_time_by_ten(
    name: str, factor: float, is_within: bool
) -> None:
    found = one(name, [2.0] * 5, [2.0 * factor] * 5)
    assert (found.is_within, found.is_certain) == (is_within, True)
    assert pairs.is_within([found]) is is_within


def test_a_figure_without_a_limit_is_shown_without_a_verdict() -> None:
    found = one(P99, [100.0], [900.0])
    assert found.is_within is None
    assert pairs.is_within([found])
    assert P99 in table([found])
    assert verdicts([found]) == ""


def test_noise_as_large_as_the_limit_is_reported() -> None:
    found = one(WALL, SAME_CODE[:4], SAME_CODE[4:])
    assert found.is_within
    quiet = one(WALL, [0.5] * 3, [0.51] * 3)
    assert "not every pair agrees" not in verdicts([quiet])
    noisy = one(CPU, SAME_CODE[:4], SAME_CODE[4:])
    assert "not every pair agrees" in verdicts([noisy])


def test_a_verdict_names_the_figure_the_limit_and_the_difference() -> None:
    found = [one(CPU, [1.0], [1.2]), one(WALL, [1.0], [0.9])]
    assert verdicts(found).splitlines() == [
        "burst.cpu_ms_per_change within 5%: NO (+20.0%)",
        "burst.wall_ms_per_change within 10%: yes (-10.0%)",
    ]


def test_the_table_shows_both_sides_and_every_pair() -> None:
    lines = table([one(CPU, [1.0, 2.0, 3.0], [1.1, 2.0, 3.3])]).splitlines()
    assert lines[1].split("  ")[0] == CPU
    assert "2.000 (1.000 to 3.000)" in lines[1]
    assert lines[1].endswith("1.10 1.00 1.10")


def test_the_figures_in_the_file_are_those_of_the_table() -> None:
    shown = one(CPU, [1.0, 2.0, 3.0], [1.1, 2.0, 3.3]).as_json()
    assert shown["a"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert (shown["ratio_of_medians"], shown["pair_ratios"]) == (1.0, [1.1, 1.0, 1.1])
    assert (shown["limit"], shown["is_within"], shown["all_pairs_agree"]) == (0.05, True, False)


def test_only_figures_of_all_runs_are_compared() -> None:
    found = pairs.compare([({CPU: 1.0, P99: 1.0}, {CPU: 1.0}), ({CPU: 1.0}, {CPU: 1.0, P99: 1.0})])
    assert [compared.name for compared in found] == [CPU]


def test_a_comparison_needs_a_pair_and_costs_above_zero() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        pairs.compare([])
    with pytest.raises(ValueError, match="not above zero"):
        one(CPU, [0.0], [1.0])


def test_a_process_of_one_side_only_is_shown_too() -> None:
    shown = by_process({"A": [{"kafka": 0.1}], "B": [{"kafka": 0.2, "notices": 0.3}, {"kafka": 0.4, "notices": 0.5}]})
    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["kafka", "0.1000", "0.3000"],
        ["notices", "none", "0.4000"],
    ]


def test_a_restarted_process_makes_the_costs_void() -> None:
    before = {"kafka": Cost(7, 1.0), "dispatch": Cost(8, 2.0)}
    after = {"kafka": Cost(7, 3.0), "dispatch": Cost(8, 2.5)}
    assert per_change(before, after, 1_000) == {"kafka": 2.0, "dispatch": 0.5}
    with pytest.raises(RuntimeError, match="dispatch ended"):
        per_change(before, after | {"dispatch": Cost(9, 0.1)}, 1_000)
    with pytest.raises(RuntimeError, match="kafka ended"):
        per_change(before, {"dispatch": Cost(8, 2.5)}, 1_000)


def test_the_cost_of_a_process_includes_children_that_have_ended() -> None:
    burn = "import os; os.fork() or [x * x for x in range(6_000_000)] and os._exit(0); os.wait(); print(1, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{burn}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        own = psutil.Process(parent.pid).cpu_times()
        assert cpu_seconds(parent.pid) >= own.user + own.system + own.children_user
        assert own.children_user > 0
        parent.communicate(b"\n", timeout=10)
    assert cpu_seconds(parent.pid) == 0.0


def test_the_size_is_the_full_one_unless_arguments_change_it() -> None:
    assert size_of(parser().parse_args(["main", "HEAD"])) == FULL
    assert FULL.pairs == 5
    assert size_of(parser().parse_args(["main", "HEAD", "--quick"])) == QUICK
    given = size_of(parser().parse_args(["main", "HEAD", "--quick", "--people", "77", "--pairs", "3"]))
    assert (given.people, given.pairs, given.changes) == (77, 3, QUICK.changes)


@pytest.mark.parametrize("words", [["main"], ["a", "b", "--pairs", "0"], ["a", "b", "--share", "1"], ["a", "b", "c"]])
def test_wrong_arguments_are_rejected(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2


def test_a_revision_that_is_no_commit_is_reported_in_one_sentence() -> None:
    with pytest.raises(LocalProblem, match="`no-such-branch` is no commit"):
        resolve("no-such-branch")
    assert len(resolve("HEAD")) == 40


def test_both_sides_get_the_same_events_and_no_change_twice() -> None:
    first, second = prepare(QUICK, rate=10), prepare(QUICK, rate=10)
    assert first == second
    changes = [*first.warm_up, *first.singles, *first.burst]
    assert len({(one.source, one.id) for one in changes}) == len(changes)
    assert len(first.warm_up) == 10 * QUICK.warm_up_seconds
    assert len(first.singles) == 10 * QUICK.seconds
    assert len(first.burst) == QUICK.changes
    assert set(first.sources) >= {one.source for one in [*first.load, *changes]}


def test_the_events_are_of_today_even_if_an_installation_is_in_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    monkeypatch.setenv("SHOUWANG_KAFKA", "kafka.example:19092")
    clock.advance(timedelta(days=31))  # as after a demonstration
    assert clock.now() - clock.real_now() > timedelta(days=30)
    settle_environment()
    assert "SHOUWANG_KAFKA" not in os.environ
    assert processes.wait_until(lambda: clock.now() - clock.real_now() < timedelta(seconds=1), 5)


def test_a_side_gets_no_setting_of_another_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_DATABASE_URL_SUBSIDY", "postgresql://db.example/real_money")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = Checkout("A", "0" * 40, tmp_path, tmp_path / "jars").environment(tmp_path / "home")
    ours = {name: value for name, value in found.items() if name.startswith(("SHOUWANG_", "PYTHONPATH"))}
    assert ours == {"SHOUWANG_HOME": str(tmp_path / "home"), "SHOUWANG_JARS": str(tmp_path / "jars")}
    assert found["PATH"] == os.environ["PATH"]


def test_the_remains_of_a_killed_comparison_are_stopped_and_removed(tmp_path: Path) -> None:
    home = tmp_path / "home-a"
    child = processes.spawn(["sleep", "60"], log=home / "logs" / "kafka.log", pid_file=home / "run" / "kafka.pid")
    (home / "kafka").mkdir()
    discard(home)
    assert processes.is_gone(child)
    assert not (home / "kafka").exists()
    assert (home / "logs" / "kafka.log").exists()
    discard(home, logs=True)
    assert not home.exists()
