"""Who is entitled on which days, as far as statistics and the checks of visits need it."""

from collections.abc import Sequence

from common import clock
from common.transaction import Tx

from supervision.domain.people import ability_periods, entitled_periods
from supervision.intake import Sighting, newest
from supervision.judgement import judge
from supervision.store import people as store
from supervision.store import visits


async def on_entitlements_decided(sightings: Sequence[Sighting], tx: Tx) -> None:
    """A newer decision replaces the older one; visits that it may explain, or that a death now forbids, are judged
    again."""
    kept = newest(sightings)
    await store.upsert_people(
        tx,
        [
            (
                s.data.person_id,
                s.data.version,
                s.at,
                s.data.residence,
                s.data.died_on,
                *entitled_periods(s.data.entitlements),
            )
            for s in kept
        ],
    )
    dead = [s.data.person_id for s in kept if s.data.died_on is not None]
    concerned = await visits.list_open_to_judgement(tx, [s.data.person_id for s in kept], dead)
    if concerned:
        await judge(tx, concerned, clock.now(), {s.data.person_id: s.message() for s in kept})


async def on_abilities_determined(sightings: Sequence[Sighting], tx: Tx) -> None:
    rows = [(s.data.person_id, s.data.version, *ability_periods(s.data.abilities)) for s in newest(sightings)]
    await store.upsert_abilities(tx, rows)
