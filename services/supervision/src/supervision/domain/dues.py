"""Collect the months for which money is due to a person (state `due`), by item and paying area."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from common.calendar import add_months, parse_month

from supervision.domain.events import PartialDues

ITEMS: Final = ("longevity_allowance", "nursing_subsidy", "care_service_subsidy")
MONTHS_CACHED: Final = 1_200


class DueKey(NamedTuple):
    person_id: str
    item: str
    jurisdiction: str


def due_months(events: Iterable[PartialDues]) -> dict[DueKey, dict[str, bool]]:
    """Return by key the months (`YYYY-MM`) in these events, and whether money is due. Only items of ITEMS count.

    A later line of the same key and month replaces an earlier one.
    """
    found: dict[DueKey, dict[str, bool]] = {}
    for event in events:
        for line in event.lines:
            if line.item in ITEMS:
                months = found.setdefault(DueKey(event.person_id, line.item, line.jurisdiction), {})
                months[line.service_month] = line.state == "due" and line.amount_fen > 0
    return found


def multiranges(months: Mapping[str, bool]) -> tuple[str, str]:
    """Return two PostgreSQL date multiranges: the days of all months, and of the months with money due."""
    stated = ",".join(_days(month) for month in months)
    due = ",".join(_days(month) for month, is_due in months.items() if is_due)
    return f"{{{stated}}}", f"{{{due}}}"


@lru_cache(MONTHS_CACHED)
def _days(month: str) -> str:
    first = parse_month(month)
    return f"[{first},{add_months(first, 1)})"
