"""Provide the titles of areas' own items. Lists that are missing in memory are read from identification."""

from collections.abc import Iterable

from common.errors import ServiceError
from fastapi import Request

from console.domain.item_titles import ItemTitles
from console.peers import fetch


async def titles_for(request: Request, codes: Iterable[str]) -> ItemTitles:
    """Return titles that contain those of `codes`. Missing lists in force are read first; a list that cannot be read
    now is left out."""
    titles: ItemTitles = request.app.state.titles
    for area in {titles.unread_area(code) for code in codes} - {None}:
        try:
            running = await fetch(request, "identification", f"/v1/policies/{area}")
        except ServiceError:
            continue
        items = running["list"]["items"]
        titles.learn(running["jurisdiction"], {code: item["title"] for code, item in items.items()})
    return titles
