"""Keep what other services decided about people (visiting care, ability levels, dues) for checks and statistics."""

from collections.abc import Sequence

from shell import clock
from shell.store.transaction import Tx

from supervision import cases
from supervision.decision_cases import update_gaps, update_matters
from supervision.domain.dues import due_months, multiranges
from supervision.domain.people import ability_periods, visiting_periods
from supervision.domain.received import ReceivedEvent, newest
from supervision.store import dues, people, visits
from supervision.store.dues import DueMonths
from supervision.store.people import PersonLine
from supervision.store.visits import PersonDecision
from supervision.verdicts import judge


async def on_entitlements_decided(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Store newer decisions. Judge the visits again whose verdict they may change. Update the cases of move gaps, and
    the matters that may become alerts, such as suspected deaths."""
    await visits.lock_judging(tx)
    former_survivors: set[str] = set()
    for decisions in _rounds(received):
        former_survivors |= await people.upsert_people(tx, [_person_line(event) for event in decisions])
    kept = newest(received)
    oldest = _oldest_times(received)
    decided = [_person_decision(event, oldest[event.data.person_id]) for event in kept]
    decided += [PersonDecision(person_id, kept[0].at, final=True) for person_id in sorted(former_survivors)]
    affected = await visits.list_affected(tx, decided)
    now, causes = clock.now(), cases.causes_of(kept)
    if affected:
        await judge(tx, affected, now, causes)
    await update_gaps(tx, kept, now, causes)
    await update_matters(tx, kept, now, causes)


def _rounds(received: Sequence[ReceivedEvent]) -> list[list[ReceivedEvent]]:
    """Divide decisions into rounds: each person once per round, older decisions first. So the days granted by an older
    decision are kept before a newer decision replaces it."""
    rounds: list[list[ReceivedEvent]] = []
    count: dict[str, int] = {}
    for event in sorted(received, key=lambda e: int(e.data.version)):
        place = count.get(event.data.person_id, 0)
        count[event.data.person_id] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(event)
    return rounds


def _person_line(event: ReceivedEvent) -> PersonLine:
    d = event.data
    visiting_care = visiting_periods(d.entitlements)
    division = d.residence or d.hukou
    return PersonLine(d.person_id, d.version, event.at, division, d.died_on, d.merged_into, visiting_care)


def _oldest_times(received: Sequence[ReceivedEvent]) -> dict[str, str]:
    """Return the time of the oldest of these decisions about each person, by person id."""
    oldest: dict[str, str] = {}
    for event in received:
        person_id = event.data.person_id
        oldest[person_id] = min(event.at, oldest.get(person_id, event.at))
    return oldest


def _person_decision(event: ReceivedEvent, oldest_at: str) -> PersonDecision:
    final = event.data.died_on is not None or event.data.merged_into is not None
    return PersonDecision(event.data.person_id, oldest_at, final)


async def on_abilities_determined(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    rows = [(e.data.person_id, e.data.version, *ability_periods(e.data.abilities)) for e in newest(received)]
    await people.upsert_abilities(tx, rows)


async def on_dues_determined(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Store the months with money due. Lines have absolute values and arrive in order per person, so a repeated line
    changes nothing."""
    found = due_months(event.data for event in received)
    await dues.save_due_months(tx, [DueMonths(*key, *multiranges(months)) for key, months in sorted(found.items())])
