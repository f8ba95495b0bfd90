"""What the lists in force say where, so that a case can name the clauses it is about."""

from collections.abc import Iterator, Sequence
from typing import Any

from shell.store.transaction import Tx

from supervision.domain.events import SeenRelease
from supervision.intake import Sighting
from supervision.store import gaps as store


async def on_policies_published(sightings: Sequence[Sighting], tx: Tx) -> None:
    """The lists of an area come in the order in which they were published."""
    latest: dict[str, SeenRelease] = {s.data.jurisdiction: s.data for s in sightings}
    await store.replace_clauses(tx, list(latest), [row for release in latest.values() for row in _rows(release)])


def _rows(release: SeenRelease) -> Iterator[tuple[Any, ...]]:
    for code, item in release.list.items.items():
        for v in item.versions:
            c = v.citation
            days = (v.valid_from, v.valid_to)
            yield (release.jurisdiction, code, *days, item.title, c.title, c.issuer, c.date, c.locator, v.status)
