"""Working days of offices in China."""

from datetime import date

import pytest
from common.calendar import add_working_days, is_working_day


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2025, 10, 1), False),  # National Day, a Wednesday
        (date(2025, 9, 28), True),  # a Sunday worked in exchange
        (date(2025, 10, 11), True),  # a Saturday worked in exchange
        (date(2025, 11, 15), False),
        (date(2099, 1, 5), True),  # not announced yet: a Monday
        (date(2099, 1, 3), False),
    ],
)
def test_holidays_and_exchanged_days_are_known(day: date, works: bool) -> None:
    assert is_working_day(day) is works


def test_fifteen_working_days_over_the_national_holiday_are_more_than_three_weeks() -> None:
    assert add_working_days(date(2025, 9, 29), 15) == date(2025, 10, 27)
    assert add_working_days(date(2026, 11, 20), 0) == date(2026, 11, 20)


def test_a_count_out_of_bounds_is_an_error() -> None:
    with pytest.raises(ValueError, match="working days"):
        add_working_days(date(2026, 1, 1), -1)
