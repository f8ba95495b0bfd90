"""The windows of visits: no month without a visit, no two visits for one window."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from common.calendar import add_months, month_of
from hypothesis import example, given
from hypothesis import strategies as st
from rules.scales.visits import Stretch, Window, first_window, load_visit_rules, next_window, runs
from shell.settings import repository_root

RULES = load_visit_rules(repository_root() / "contracts" / "visits" / "parameters.yaml")
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))


def chain(start: date, interval_days: int, months: int, *, first: bool = True) -> list[Window]:
    """The windows as a plan opens them, one after another."""
    windows = [first_window(start, RULES) if first else next_window(start, interval_days)]
    while windows[-1].to < add_months(start, months):
        windows.append(next_window(windows[-1].to, interval_days, windows[-1].from_))
    return windows


@given(DAYS, st.integers(1, 120), st.booleans())
@example(date(2026, 1, 30), 31, True)
@example(date(2026, 11, 29), 15, False)
def test_every_whole_calendar_month_holds_a_whole_window(start: date, interval_days: int, first: bool) -> None:
    windows = chain(start, interval_days, 14, first=first)
    month = add_months(month_of(start), 1)
    for _ in range(12):
        following = add_months(month, 1)
        assert any(month <= w.from_ and w.to <= following for w in windows), month
        month = following


@given(DAYS, st.integers(1, 120), st.booleans())
def test_windows_follow_one_another_and_are_at_most_a_day_longer_than_the_interval(
    start: date, interval_days: int, first: bool
) -> None:
    windows = chain(start, interval_days, 6, first=first)
    assert all(w.from_ < w.to for w in windows)
    assert all(a.to <= b.from_ for a, b in pairwise(windows))
    later = windows[1:] if first else windows
    assert all((w.to - w.from_).days <= min(interval_days + 1, 31) for w in later)


@given(DAYS, st.integers(1, 14))
def test_short_intervals_leave_no_day_without_a_window(start: date, interval_days: int) -> None:
    windows = chain(start, interval_days, 6)
    assert all(a.to == b.from_ for a, b in pairwise(windows))


def test_a_weekly_tier_is_visited_within_a_week_and_then_weekly() -> None:
    windows = chain(date(2026, 11, 22), 7, 1)
    assert windows[:3] == [
        Window(date(2026, 11, 22), date(2026, 11, 29)),
        Window(date(2026, 11, 29), date(2026, 12, 6)),
        Window(date(2026, 12, 6), date(2026, 12, 13)),
    ]


def test_a_monthly_tier_takes_the_calendar_months_after_the_first_visit() -> None:
    assert chain(date(2026, 11, 10), 31, 2)[1:3] == [
        Window(date(2026, 12, 1), date(2027, 1, 1)),
        Window(date(2027, 1, 1), date(2027, 2, 1)),
    ]


def test_a_first_window_over_the_turn_of_the_month_leaves_the_rest_of_the_new_month() -> None:
    assert chain(date(2026, 1, 30), 31, 1)[1] == Window(date(2026, 2, 6), date(2026, 3, 1))


def test_a_quarterly_tier_is_visited_monthly() -> None:
    assert next_window(date(2026, 4, 1), 92) == Window(date(2026, 4, 1), date(2026, 5, 1))


def test_stretches_of_the_same_care_are_planned_as_one() -> None:
    first = Stretch("a", date(2026, 1, 1), date(2026, 6, 1), "530302001", "A", 7)
    second = Stretch("b", date(2026, 6, 1), None, "530302001", "A", 7)
    moved = Stretch("c", date(2026, 6, 1), None, "530303001", "A", 7)
    [run] = runs([second, first])
    assert (run.from_, run.to) == (date(2026, 1, 1), None)
    assert [run.entitlement_on(day) for day in (date(2026, 5, 31), date(2026, 6, 1))] == ["a", "b"]
    assert len(runs([first, moved])) == 2


def test_a_gap_divides_runs() -> None:
    first = Stretch("a", date(2026, 1, 1), date(2026, 6, 1), "530302001", "A", 7)
    later = Stretch("b", date(2026, 6, 1) + timedelta(days=1), None, "530302001", "A", 7)
    assert [run.covers(date(2026, 6, 1)) for run in runs([first, later])] == [False, False]


def test_parameters_without_a_source_must_be_examples(tmp_path: Path) -> None:
    text = (repository_root() / "contracts" / "visits" / "parameters.yaml").read_text()
    path = tmp_path / "parameters.yaml"
    path.write_text(text.replace("status: example", "status: documented"))
    with pytest.raises(ValueError, match="unsourced"):
        load_visit_rules(path)
