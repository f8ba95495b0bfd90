"""Give the titles of items, also of an area's own items. The code of an own item begins with the area:
`530303.meal_aid`."""

from collections.abc import Mapping

from common.words_zh import ITEMS


def area_of_own(code: str) -> str | None:
    """The area whose own item this is; None for an item of the national list."""
    area, dot, _ = code.partition(".")
    return area if dot else None


class ItemTitles:
    """Titles of own items, from the published lists that the console has read. The next list of an area replaces
    the titles of the one before."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, str]] = {}

    def learn(self, area: str, titles: Mapping[str, str]) -> None:
        """Replace the titles of the own items of `area`. `titles`: by item code, from the area's list."""
        self._own[area] = {code: title for code, title in titles.items() if area_of_own(code) == area}

    def unread_area(self, code: str) -> str | None:
        """The area whose list must be read for the title of this item; None if no list is missing."""
        area = area_of_own(code)
        return area if area is not None and area not in self._own else None

    def title(self, code: str) -> str:
        """The title, or the code of an own item whose list was not read."""
        return ITEMS.get(code) or self._own.get(area_of_own(code) or "", {}).get(code, code)
