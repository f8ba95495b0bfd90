"""The areas that hold a place, as far as a list or a feed names them."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from rules.form.names import NATION

Codes = tuple[str, ...]  # areas, nearest first
Ancestors = Callable[[str], Sequence[str]]
_AREAS_MAX: Final = 200_000  # every village of a few provinces
NOWHERE: Final = ""  # the hukou of a person without one: it is known, and no list counts by it


class Area(msgspec.Struct, frozen=True, eq=False):
    """The named areas, nearest first, that hold a place; empty for NOWHERE. There is one object per chain of areas."""

    codes: Codes


class Areas:
    """The areas of divisions, remembered. `named`: codes that a list or a feed names."""

    def __init__(self, named: Collection[str], ancestors: Ancestors) -> None:
        self._named, self._ancestors = named, ancestors
        self._of_division: dict[str, Area] = {}
        self._of_codes: dict[Codes, Area] = {}

    def of(self, division: str) -> Area:
        """The area of a division. An unknown code lies in the nation."""
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
