"""Business time moves forward for all processes of a home, also over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from common import calendar
from shell import clock as common_clock
from shell.settings import settings
from shouwang import cli
from shouwang.runtime import clock, lifecycle
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

NEW_YEAR = datetime(2126, 12, 31, 23, 59, 30, tzinfo=calendar.SHANGHAI)


def _is(home: Path, expected: datetime) -> bool:
    return timedelta() <= clock.business_time(home) - expected < timedelta(seconds=30)


def test_business_time_is_real_time_until_it_is_set(tmp_path: Path) -> None:
    assert clock.offset(tmp_path) == timedelta()
    assert _is(tmp_path, common_clock.real_now() - timedelta(seconds=1))


def test_services_use_the_business_time_that_the_command_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    assert cli.main(["clock", "set", "2126-12-31T23:59:30+08:00"]) == 0
    assert cli.main(["clock", "advance", "3d"]) == 0
    assert _is(tmp_path, NEW_YEAR + timedelta(days=3))
    assert abs(common_clock.now() - clock.business_time(tmp_path)) < timedelta(seconds=5)


def test_business_time_does_not_go_back_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    clock.set_business_time(tmp_path, NEW_YEAR)
    assert cli.main(["clock", "set", "2126-12-30"]) == 2
    assert "does not go back to 2126-12-30 00:00:00: use --force" in capsys.readouterr().err
    assert _is(tmp_path, NEW_YEAR)
    assert cli.main(["clock", "set", "2126-12-30", "--force"]) == 0
    assert _is(tmp_path, NEW_YEAR.replace(day=30, hour=0, minute=0, second=0))


def test_a_home_may_begin_in_the_past_but_a_restart_does_not_rewind_it(tmp_path: Path) -> None:
    past = datetime(2020, 1, 1, tzinfo=calendar.SHANGHAI)
    clock.begin_at(tmp_path, past)
    clock.advance(tmp_path, timedelta(days=31))
    clock.begin_at(tmp_path, past)
    assert _is(tmp_path, past + timedelta(days=31))


@pytest.fixture
def real_office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without a movable clock, but with an offset in its `clock` file."""
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    monkeypatch.delenv("SHOUWANG_TIME_TRAVEL")
    monkeypatch.setenv("SHOUWANG_DEMO", "0")
    settings.cache_clear()
    (tmp_path / "clock").write_text("86400")
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize("command", [["advance", "3d"], ["set", "2126-12-31"], ["set", "2020-01-01", "--force"]])
def test_the_command_refuses_to_move_the_clock_of_a_real_office(
    real_office: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["clock", *command]) == 2
    output = capsys.readouterr().err
    assert "only a demonstration moves the clock" in output
    assert "SHOUWANG_DEMO=1" in output
    assert (real_office / "clock").read_text() == "86400"


def test_the_command_shows_real_time_in_a_real_office(real_office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["clock"]) == 0
    assert "(real time)" in capsys.readouterr().out


def test_a_real_office_does_not_start_at_another_time(real_office: Path) -> None:
    with pytest.raises(LocalProblem, match="only a demonstration moves the clock"):
        lifecycle.up(Runtime(real_office), business_time="2126-12-31", with_services=False)
    assert not (real_office / "postgres").exists()


def test_the_clock_of_a_demonstration_moves_for_its_services_too(real_office: Path) -> None:
    assert Runtime(real_office).environment("subsidy")["SHOUWANG_DEMO"] == "0"
    Runtime(real_office).mark_demo()
    assert cli.main(["clock", "set", "2126-12-31"]) == 0
    assert Runtime(real_office).environment("subsidy")["SHOUWANG_DEMO"] == "1"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("3d", timedelta(days=3)),
        ("1d12h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_span_is_numbers_with_units(text: str, span: timedelta) -> None:
    assert clock.parse_span(text) == span


@pytest.mark.parametrize("text", ["", "3", "-3d", "3 d", "d", "3y"])
def test_other_text_is_no_span(text: str) -> None:
    with pytest.raises(LocalProblem, match="is not a span of time"):
        clock.parse_span(text)


def test_an_instant_without_a_zone_is_in_shanghai() -> None:
    assert clock.parse_instant("2026-12-31T23:59:30") == datetime.fromisoformat("2026-12-31T23:59:30+08:00")
    with pytest.raises(LocalProblem, match="`tomorrow` is not a time"):
        clock.parse_instant("tomorrow")
