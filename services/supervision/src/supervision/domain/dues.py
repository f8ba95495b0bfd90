"""Months for which a person has a due in state due, per item and paying area."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from common.calendar import add_months, parse_month

ITEMS: Final = ("longevity_allowance", "nursing_subsidy", "care_service_subsidy")
MONTHS_CACHED: Final = 1_200


class DueLine(Protocol):
    @property
    def item(self) -> str: ...
    @property
    def jurisdiction(self) -> str: ...
    @property
    def service_month(self) -> str: ...
    @property
    def amount_fen(self) -> int: ...
    @property
    def state(self) -> str: ...


class DueKey(NamedTuple):
    person_id: str
    item: str
    jurisdiction: str


def due_months(told: Iterable[tuple[str, Iterable[DueLine]]]) -> dict[DueKey, dict[str, bool]]:
    """By key the months (`YYYY-MM`) that these lines of persons state, and whether money is due for them. A later line
    of the same key and month replaces an earlier one. Only items of ITEMS count."""
    found: dict[DueKey, dict[str, bool]] = {}
    for person_id, lines in told:
        for line in lines:
            if line.item in ITEMS:
                months = found.setdefault(DueKey(person_id, line.item, line.jurisdiction), {})
                months[line.service_month] = line.state == "due" and line.amount_fen > 0
    return found


def multiranges(months: Mapping[str, bool]) -> tuple[str, str]:
    """As PostgreSQL date multiranges: the days of all months, and of those with money due."""
    stated = ",".join(_days(month) for month in months)
    due = ",".join(_days(month) for month, is_due in months.items() if is_due)
    return f"{{{stated}}}", f"{{{due}}}"


@lru_cache(MONTHS_CACHED)
def _days(month: str) -> str:
    first = parse_month(month)
    return f"[{first},{add_months(first, 1)})"
