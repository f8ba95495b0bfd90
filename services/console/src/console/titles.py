"""Titles of areas' own items: lists that are missing in memory are read from identification."""

from collections.abc import Iterable

from common.errors import ServiceError
from fastapi import Request

from console.domain.item_titles import ItemTitles
from console.peers import fetch


async def titles_for(request: Request, codes: Iterable[str]) -> ItemTitles:
    """Titles for `codes`. The lists in force of own items are read first, except lists that cannot be read now."""
    titles: ItemTitles = request.app.state.titles
    for area in {titles.unread_area(code) for code in codes} - {None}:
        try:
            running = await fetch(request, "identification", f"/v1/policies/{area}")
        except ServiceError:
            continue
        items = running["list"]["items"]
        titles.learn(running["jurisdiction"], {code: item["title"] for code, item in items.items()})
    return titles
