"""Days with visiting care and ability levels per person, for statistics and the checks of visits."""

from collections.abc import Sequence

from shell import clock
from shell.store.transaction import Tx

from supervision.domain.people import ability_periods, visiting_periods
from supervision.intake import Sighting, newest
from supervision.matters import settle_matters
from supervision.move_gaps import settle_gaps
from supervision.store import people as store
from supervision.store import visits
from supervision.verdicts import judge


async def on_entitlements_decided(sightings: Sequence[Sighting], tx: Tx) -> None:
    """A newer decision replaces the older one; visits that it may explain, or that a death now forbids, are judged
    again, and the cases of gaps that it tells are opened, or closed."""
    parted: set[str] = set()
    for decisions in _rounds(sightings):
        parted |= await store.upsert_people(tx, [_row(s) for s in decisions])
    kept = newest(sightings)
    decided = [(s.data.person_id, s.at, s.data.died_on is not None or s.data.merged_into is not None) for s in kept]
    decided += [(person_id, kept[0].at, True) for person_id in sorted(parted)]
    concerned = await visits.list_open_to_judgement(tx, decided)
    now, causes = clock.now(), {s.data.person_id: s.message() for s in kept}
    if concerned:
        await judge(tx, concerned, now, causes)
    await settle_gaps(tx, kept, now, causes)
    await settle_matters(tx, kept, now, causes)


def _rounds(sightings: Sequence[Sighting]) -> list[list[Sighting]]:
    """Each person once per round, older decisions first: what an older one granted must be seen before it goes."""
    rounds: list[list[Sighting]] = []
    count: dict[str, int] = {}
    for s in sorted(sightings, key=lambda s: int(s.data.version)):
        place = count.get(s.data.person_id, 0)
        count[s.data.person_id] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(s)
    return rounds


def _row(s: Sighting) -> tuple[object, ...]:
    d = s.data
    return (d.person_id, d.version, s.at, d.residence, d.died_on, d.merged_into, visiting_periods(d.entitlements))


async def on_abilities_determined(sightings: Sequence[Sighting], tx: Tx) -> None:
    rows = [(s.data.person_id, s.data.version, *ability_periods(s.data.abilities)) for s in newest(sightings)]
    await store.upsert_abilities(tx, rows)
