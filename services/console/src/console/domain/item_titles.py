"""Give the titles of items, also of an area's own items. The code of an own item begins with the area:
`530303.meal_aid`."""

from collections.abc import Mapping

from common.words_zh import ITEMS


def area_of_own(code: str) -> str | None:
    """The area whose own item this is; None for an item of the national list."""
    area, dot, _ = code.partition(".")
    return area if dot else None


class ItemTitles:
    """Titles of own items, from the published lists that the console has read. An item that a later list removed keeps
    its title, because earlier steps name it."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, str]] = {}

    def learn(self, area: str, titles: Mapping[str, str]) -> None:
        """Add or replace titles of the own items of `area`. `titles`: by item code, from the area's list."""
        own = {code: title for code, title in titles.items() if area_of_own(code) == area}
        self._own.setdefault(area, {}).update(own)

    def unread_area(self, code: str) -> str | None:
        """The area whose list must be read for the title of this item; None if no list is missing."""
        area = area_of_own(code)
        return area if area is not None and area not in self._own else None

    def title(self, code: str) -> str:
        """The title; the code of an own item that no list has, as far as lists were read."""
        return ITEMS.get(code) or self._own.get(area_of_own(code) or "", {}).get(code, code)
