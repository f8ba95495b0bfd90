"""Compute the first year of a list: the months that a simulation must cover before approvers may sign it."""

from datetime import date
from typing import Final

from common import calendar
from rules.form.policy import PolicyList
from rules.words.list_changes import first_day_changed

from identification.lists.domain.content import ListSet

MONTHS_NEEDED: Final = 12


def first_month_needed(in_force: ListSet, proposed: PolicyList, today: date) -> date:
    """Return the first month that a simulation must cover: the month of `today`, or the later month in which the list
    first changes a decision."""
    changed = first_day_changed(in_force.list_of(proposed.jurisdiction), proposed)
    return calendar.month_of(max(today, changed or today))


def covers_first_year(first_month: date, months: int, needed: date) -> bool:
    """Whether the months of a simulation include the whole first year. `needed`: from `first_month_needed`."""
    end = calendar.add_months(first_month, months)
    return first_month <= needed and end >= calendar.add_months(needed, MONTHS_NEEDED)
