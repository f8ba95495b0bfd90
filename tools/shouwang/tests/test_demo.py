"""The home and the start time of a demonstration."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from common.calendar import SHANGHAI
from shell.settings import settings
from shouwang.commands.demo import begin_demonstration, evening_before_the_last_day
from shouwang.runtime import lifecycle
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem


@pytest.fixture(autouse=True)
def _demonstration_of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SHOUWANG_DEMO", "0")  # restored afterwards, also if a demonstration changes it
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2026-11-22T10:00", "2026-11-29T20:00"),
        ("2026-11-29T20:00", "2026-11-29T20:00"),
        ("2026-11-29T20:01", "2026-12-30T20:00"),
        ("2026-12-31T12:00", "2027-01-30T20:00"),
        ("2027-02-01T00:00", "2027-02-27T20:00"),
        ("2028-02-10T00:00", "2028-02-28T20:00"),
    ],
)
def test_it_begins_on_the_evening_before_the_last_day_of_a_month(now: str, begins: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=SHANGHAI)
    assert evening_before_the_last_day(at).isoformat() == f"{begins}:00+08:00"


def test_a_home_with_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(LocalProblem, match="no demonstration's"):
        begin_demonstration(Runtime(tmp_path), 10)
    assert not (tmp_path / "demo").exists()


def test_the_variable_makes_a_new_home_a_demonstration_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_DEMO", "1")
    settings.cache_clear()
    (tmp_path / "postgres").mkdir()
    with pytest.raises(LocalProblem, match="no demonstration's"):
        lifecycle.up(Runtime(tmp_path), with_services=False)
    (tmp_path / "postgres").rmdir()
    Runtime(tmp_path).mark_demo()
    assert Runtime(tmp_path).environment("subsidy")["SHOUWANG_DEMO"] == "1"


def test_each_demonstration_in_a_home_has_new_people(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    assert begin_demonstration(runtime, 10) == 0
    (tmp_path / "postgres").mkdir()
    assert begin_demonstration(runtime, 300) == 10
    assert begin_demonstration(runtime, 1) == 310


def test_restarted_services_of_a_demonstration_are_in_demonstration_mode_too(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    assert runtime.environment("subsidy")["SHOUWANG_DEMO"] == "0"
    begin_demonstration(runtime, 10)
    assert Runtime(tmp_path).environment("subsidy")["SHOUWANG_DEMO"] == "1"
