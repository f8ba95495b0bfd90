"""Add the results of finished chunks to their simulation. The last chunk completes it."""

from collections.abc import Mapping

import msgspec
from common import calendar
from common.events import PolicyVersionSimulated
from rules.money.tallies import Tally
from shell import clock
from shell.store.transaction import Tx

from identification.simulating import store
from identification.simulating.chunks import Answer
from identification.simulating.domain.comparison import tally_of


async def save_answers(tx: Tx, simulation_id: str, answers: Mapping[int, Answer]) -> None:
    """Store the answers of chunks (by number), add them to the simulation, and emit its event after the last chunk.

    A chunk that is already stored is ignored.
    """
    simulation = await store.lock_simulation(tx, simulation_id)
    status = simulation.status
    fresh = await store.finish_chunks(tx, simulation_id, {n: answer.people for n, answer in answers.items()})
    tally = tally_of(simulation.result)
    for n in fresh:
        tally.add(tally_of(answers[n].tally))
    people = sum(answers[n].people for n in fresh)
    if not status.replayed:  # a replay cannot be signed, so its people are not needed later
        changes = [change for n in sorted(fresh) for change in answers[n].changes]
        await store.append_changes(tx, simulation_id, changes)
    completes = status.state == "running" and status.chunks_done + len(fresh) == status.chunks
    await store.move_simulation(
        tx,
        simulation_id,
        chunks=len(fresh),
        people=people,
        result=msgspec.json.encode(tally.stored()),
        completed_at=clock.now() if completes else None,
    )
    if completes:
        _emit(tx, status, tally, status.people + people)


def _emit(tx: Tx, status: store.Status, tally: Tally, people: int) -> None:
    groups = tally.groups.values()
    tx.emit(
        PolicyVersionSimulated(
            jurisdiction=status.jurisdiction,
            version=status.version,
            simulation_id=status.simulation_id,
            first_month=calendar.month_text(status.first_month),
            months=status.months,
            people=people,
            people_changed=tally.figures.people_changed,
            winners=sum(group.winners for group in groups),
            losers=sum(group.losers + group.mixed for group in groups),
            raised_fen=tally.figures.raised_fen,
            cut_fen=tally.figures.cut_fen,
        ),
        division=status.jurisdiction,
    )
