"""Keep the clauses of the lists in force, so that an alert can show the clauses it is about."""

from collections.abc import Iterator, Sequence

from shell.store.transaction import Tx

from supervision.domain.events import PartialRelease
from supervision.domain.gaps import Clause
from supervision.domain.received import ReceivedEvent
from supervision.store import gaps as store


async def on_policies_published(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Replace the clauses of areas that published a list. The lists of an area arrive in the order of publication, so
    the last one is in force."""
    latest: dict[str, PartialRelease] = {event.data.jurisdiction: event.data for event in received}
    clauses = [clause for release in latest.values() for clause in _clauses(release)]
    await store.replace_clauses(tx, list(latest), clauses)


def _clauses(release: PartialRelease) -> Iterator[Clause]:
    for code, item in release.list.items.items():
        for version in item.versions:
            citation = version.citation
            yield Clause(
                release.jurisdiction,
                code,
                version.valid_from,
                version.valid_to,
                item.title,
                citation.title,
                citation.issuer,
                citation.date,
                citation.locator,
                version.status,
            )
