"""Choose the pairs of hukou and residence, and the days, that a comparison of lists must check."""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from rules.deciding.areas import Ancestors
from rules.facts.coverage import Coverage, Where
from rules.form.policy import NATION
from rules.form.situation import HUKOU, PLACE, RESIDENCE

Places = tuple[str | None, str | None]  # divisions of hukou and residence, None: not known


class PlacePairs:
    """Chooses the pairs and days of one comparison.

    `child`: the area of the compared list. `named`: areas that any list or test names. `read`: slots of the places that
    make a difference. `kinds`: kinds of facts whose coverage makes a difference.
    """

    def __init__(
        self,
        child: str,
        ancestors: Ancestors,
        coverage: Coverage,
        *,
        named: Collection[str],
        read: Collection[int],
        kinds: Collection[str],
    ) -> None:
        self._child, self._ancestors, self._coverage = child, ancestors, coverage
        self._named, self._kinds = named, kinds
        self._read = {HUKOU, RESIDENCE} & {*read} | ({RESIDENCE} if PLACE in read else set())

    def days(self, days: set[date]) -> list[date]:
        """Return `days` and the days on which the coverage of a place changes, in order.

        `days`: those on which versions, rules or deviations change.
        """
        coverage_days = {day for day in self._coverage.all_days(self._kinds) if days and day > min(days)} - days
        found: list[date] = []
        before: set[Any] = set()
        for day in sorted(days | coverage_days):
            now = set(self._kinds_of_place(day)) if coverage_days else set()
            if day in days or now != before:
                found.append(day)
            before = now
        return found

    def on(self, day: date) -> Iterator[Places]:
        """Yield a pair for every kind of person for whom the child may count. For all other persons the child makes no
        difference."""
        hukous, residences = (self._candidates(slot, day) for slot in (HUKOU, RESIDENCE))
        both_matter = {HUKOU, RESIDENCE} <= self._read
        for hukou in hukous:
            for residence in residences:
                needed = both_matter or hukou is None or residence is None
                if needed and (self._is_within(hukou) or self._is_within(residence)):
                    yield hukou, residence

    def _candidates(self, slot: int, day: date) -> list[str | None]:
        """Return the divisions to try for one place. None: the place is unknown."""
        if slot not in self._read:
            return [None, self._child]
        return [None, *sorted(self._kinds_of_place(day).values())]

    def _kinds_of_place(self, day: date) -> dict[Any, str]:
        """Return one division for each kind of place. Kinds differ by the nearest named area and the coverage there."""
        found: dict[Any, str] = {}
        for code in (*sorted(self._named), *(sorted(self._coverage.declared) if self._kinds else ())):
            codes = (code, *self._ancestors(code), NATION)
            near = next((c for c in codes if c in self._named), NATION)
            found.setdefault((near, self._coverage.unreported(Where(codes, codes), day, self._kinds)), code)
        return found

    def _is_within(self, place: str | None) -> bool:
        return place is not None and (place == self._child or self._child in self._ancestors(place))
