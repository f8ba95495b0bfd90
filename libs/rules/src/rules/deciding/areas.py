"""Find the areas that contain a place. Only areas that a list or a coverage entry names make a difference."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from rules.form.names import NATION

Codes = tuple[str, ...]  # areas, nearest first
Ancestors = Callable[[str], Sequence[str]]
_AREAS_MAX: Final = 200_000  # every village of a few provinces
NOWHERE: Final = ""  # the hukou of a person without one: it is known, and no list counts by it


class Area(msgspec.Struct, frozen=True, eq=False):
    """The named areas that contain a place, nearest first; empty for NOWHERE. `Areas` makes one object per `codes`."""

    codes: Codes


class Areas:
    """Finds and remembers the `Area` of each division. `named`: codes that a list or a coverage entry names."""

    def __init__(self, named: Collection[str], ancestors: Ancestors) -> None:
        self._named, self._ancestors = named, ancestors
        self._of_division: dict[str, Area] = {}
        self._of_codes: dict[Codes, Area] = {}

    def of(self, division: str) -> Area:
        """Return the area of a division. An unknown code lies in the nation."""
        found = self._of_division.get(division)
        if found is None:
            if len(self._of_division) >= _AREAS_MAX:
                self._of_division.clear()
            codes = self._codes(division)
            found = self._of_division[division] = self._of_codes.setdefault(codes, Area(codes))
        return found

    def _codes(self, division: str) -> Codes:
        if division == NOWHERE:
            return ()
        chain = (division, *self._ancestors(division))
        return (*(code for code in chain if code in self._named and code != NATION), NATION)
