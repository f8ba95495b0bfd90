"""Simulations are worked off chunk by chunk in worker processes; a chunk that is done is stored and stays done."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from common import calendar
from common.events import PolicyVersionSimulated
from rules.money.tallies import Stored
from shell import clock
from shell.store.database import Database
from shell.store.failures import is_unavailable
from shell.store.transaction import Tx

from identification.simulating import store
from identification.simulating.chunks import Answer, answer_chunk, simulate_chunk, tally_of
from identification.simulating.workers import dismiss_workers, in_worker, is_worker_lost, workers_max

log = logging.getLogger(__name__)
CHUNK_PEOPLE: Final = 2000  # half a second
CHUNKS_MAX: Final = 16
STORED_TOGETHER: Final = 4


async def run_simulations(database: Database, chunk_people: int = CHUNK_PEOPLE, chunks_max: int = CHUNKS_MAX) -> int:
    """One bounded step of the oldest open simulation; returns how many chunks it did. Killed in between, the next
    step does the same chunks; done twice, a chunk counts once."""
    async with database.transaction() as tx:
        job = await store.lock_oldest_open(tx)
        if job is not None and job["state"] == "waiting":
            await store.plan_chunks(tx, job["simulation_id"], chunk_people)
            return 1
    if job is None:
        dismiss_workers()
        return 0
    simulation_id = job["simulation_id"]
    async with database.reading() as connection:
        todo = await store.list_open_chunks(connection, simulation_id, chunks_max)
    faults, done = list[BaseException](), 0
    async with aclosing(_answers(database, simulation_id, todo)) as parts:
        async for answers in parts:
            faults += [a for a in answers.values() if isinstance(a, BaseException)]
            async with database.transaction() as tx:
                await _store(tx, simulation_id, {n: a for n, a in answers.items() if isinstance(a, Answer)})
            done += len(answers)
    if lasting := [f for f in faults if not (is_worker_lost(f) or is_unavailable(f))]:
        log.error("simulation %s failed: %r", simulation_id, lasting[0])
        async with database.transaction() as tx:
            await store.fail_simulation(tx, simulation_id, type(lasting[0]).__name__)
    if any(is_worker_lost(f) for f in faults):
        log.warning("a worker of simulation %s was lost; its chunks are done again", simulation_id)
        dismiss_workers()
    return 0 if faults else done


async def _answers(
    database: Database, simulation_id: str, todo: Sequence[int]
) -> AsyncGenerator[dict[int, Answer | BaseException], None]:
    """A few chunks at a time in their order: while those are stored the workers go on with the others."""
    if not workers_max():
        for n in todo[:1]:
            yield {n: await answer_chunk(database, simulation_id, n)}
        return
    asked = {n: asyncio.ensure_future(in_worker(simulate_chunk, database.url, simulation_id, n)) for n in todo}
    try:
        for start in range(0, len(todo), STORED_TOGETHER):
            part = todo[start : start + STORED_TOGETHER]
            answers = await asyncio.gather(*(asked[n] for n in part), return_exceptions=True)
            yield dict(zip(part, answers, strict=True))
    finally:
        await asyncio.gather(*asked.values(), return_exceptions=True)


async def _store(tx: Tx, simulation_id: str, answers: dict[int, Answer]) -> None:
    job = await store.lock_simulation(tx, simulation_id)
    stored = {n: msgspec.json.decode(a.tally, type=Stored) for n, a in answers.items()}
    fresh = await store.finish_chunks(tx, simulation_id, {n: a.people for n, a in answers.items()})
    whole = tally_of(job["result"])
    for n in fresh:
        whole.add(whole.of(stored[n]))
    if not job["replayed"]:  # nobody can sign upon that
        await store.append_changes(tx, simulation_id, [c for n in sorted(fresh) for c in answers[n].changes])
    people = job["people"] + sum(answers[n].people for n in fresh)
    complete = job["chunks_done"] + len(fresh) == job["chunks"]
    await store.move_simulation(
        tx,
        simulation_id,
        chunks=len(fresh),
        people=people - job["people"],
        result=msgspec.json.encode(whole.stored()),
        completed_at=clock.now() if complete and job["state"] == "running" else None,
    )
    if complete and job["state"] == "running":
        groups = whole.groups.values()
        tx.emit(
            PolicyVersionSimulated(
                jurisdiction=job["jurisdiction"],
                version=job["version"],
                simulation_id=simulation_id,
                first_month=calendar.month_text(job["first_month"]),
                months=job["months"],
                people=people,
                people_changed=whole.figures.people_changed,
                winners=sum(g.winners for g in groups),
                losers=sum(g.losers + g.mixed for g in groups),
                raised_fen=whole.figures.raised_fen,
                cut_fen=whole.figures.cut_fen,
            ),
            division=job["jurisdiction"],
        )
