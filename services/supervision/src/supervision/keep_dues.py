"""For which months a subsidy is due to a person, as subsidy says; the statistics count it."""

from collections.abc import Sequence

from shell.store.transaction import Tx

from supervision.domain.dues import due_months, multiranges
from supervision.intake import Sighting
from supervision.store import dues as store


async def on_dues_determined(sightings: Sequence[Sighting], tx: Tx) -> None:
    """Lines carry absolute values and come in order per person, so reading them again ends in the same months."""
    found = due_months((s.data.person_id, s.data.lines) for s in sightings)
    await store.save_due_months(tx, [(*key, *multiranges(months)) for key, months in sorted(found.items())])
