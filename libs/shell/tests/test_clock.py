import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from common import calendar
from hypothesis import given
from hypothesis import strategies as st
from shell import clock
from shell.settings import settings


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    monkeypatch.setattr(clock, "_offset", clock._Offset())


def apart(one: datetime, other: datetime) -> timedelta:
    return abs(one - other)


def test_without_a_stored_offset_business_time_is_real_time() -> None:
    assert apart(clock.now(), clock.real_now()) < timedelta(seconds=1)
    assert clock.now().utcoffset() == timedelta()


def test_a_stored_offset_moves_business_time_and_leaves_real_time() -> None:
    before = clock.real_now()
    clock.advance(timedelta(days=3))
    clock.advance(timedelta(hours=-1))
    assert apart(clock.now(), before + timedelta(days=3, hours=-1)) < timedelta(seconds=5)
    assert apart(clock.real_now(), before) < timedelta(seconds=5)


@pytest.fixture
def no_time_travel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a service of a real office starts: no demonstration, no test."""
    monkeypatch.delenv("SHOUWANG_TIME_TRAVEL")
    monkeypatch.setenv("SHOUWANG_DEMO", "0")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.usefixtures("no_time_travel")
def test_a_service_of_a_real_office_ignores_the_stored_offset(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("-86400")
    assert apart(clock.now(), clock.real_now()) < timedelta(seconds=1)
    with pytest.raises(RuntimeError, match="SHOUWANG_DEMO=1"):
        clock.advance(timedelta(days=1))
    assert (tmp_path / "clock").read_text() == "-86400"


@pytest.mark.usefixtures("no_time_travel")
def test_a_demonstration_reads_the_stored_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_DEMO", "1")
    settings.cache_clear()
    (tmp_path / "clock").write_text("-86400")
    assert apart(clock.now(), clock.real_now() - timedelta(days=1)) < timedelta(seconds=5)


def test_the_clock_can_be_set_to_an_instant() -> None:
    clock.set_now(datetime(2026, 12, 31, 23, 59, 30, tzinfo=calendar.SHANGHAI))
    assert clock.today() == date(2026, 12, 31)
    assert apart(clock.now(), datetime(2026, 12, 31, 15, 59, 30, tzinfo=UTC)) < timedelta(seconds=5)


def test_another_process_that_stores_an_offset_is_noticed(tmp_path: Path) -> None:
    clock.advance(timedelta(days=1))
    (tmp_path / "clock").write_text("-86400")
    os.utime(tmp_path / "clock", ns=(1, 1))
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    while apart(clock.now(), clock.real_now() - timedelta(days=1)) > timedelta(seconds=5):
        assert datetime.now(UTC) < deadline, "the stored offset was not noticed"


def test_a_civil_date_begins_at_midnight_in_shanghai() -> None:
    assert calendar.civil_date(datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC)) == date(2026, 11, 21)
    assert calendar.civil_date(datetime(2026, 11, 21, 16, 0, tzinfo=UTC)) == date(2026, 11, 22)
    assert calendar.start_of_day(date(2026, 11, 22)) == datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        calendar.civil_date(datetime(2026, 11, 22))  # noqa: DTZ001 - a naive instant is what is refused


def test_months_are_counted_by_the_calendar() -> None:
    assert calendar.month_of(date(2026, 11, 22)) == date(2026, 11, 1)
    assert calendar.month_text(date(2026, 3, 31)) == "2026-03"
    assert calendar.parse_month("2026-03") == date(2026, 3, 1)
    assert calendar.add_months(date(2026, 11, 1), 3) == date(2027, 2, 1)
    assert calendar.add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert calendar.add_months(date(2028, 1, 31), 1) == date(2028, 2, 29)
    assert calendar.add_months(date(2026, 1, 15), -13) == date(2024, 12, 15)
    assert calendar.add_months(date(2026, 10, 31), 2) == date(2026, 12, 31)


def test_an_age_is_reached_on_the_birthday_itself() -> None:
    assert calendar.age_on(date(1946, 11, 22), date(2026, 11, 21)) == 79
    assert calendar.age_on(date(1946, 11, 22), date(2026, 11, 22)) == 80


def test_a_birth_on_29_february_counts_on_1_march_in_a_year_without_one() -> None:
    born = date(1944, 2, 29)
    assert calendar.birthday(born, 80) == date(2024, 2, 29)
    assert calendar.birthday(born, 81) == date(2025, 3, 1)
    assert calendar.age_on(born, date(2025, 2, 28)) == 80
    assert calendar.age_on(born, date(2025, 3, 1)) == 81
    assert calendar.age_on(born, date(2024, 2, 28)) == 79
    assert calendar.age_on(born, date(2024, 2, 29)) == 80
    assert calendar.birthday(date(1904, 2, 29), 196) == date(2100, 3, 1)


@given(st.dates(date(1900, 1, 1), date(2026, 1, 1)), st.integers(0, 110))
def test_age_and_birthday_agree(born: date, years: int) -> None:
    day = calendar.birthday(born, years)
    assert calendar.age_on(born, day) == years
    assert calendar.age_on(born, day - timedelta(days=1)) == years - 1
