"""Job: run simulations chunk by chunk in worker processes. A finished chunk is stored and is not repeated."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from shell.store.database import Database
from shell.store.failures import is_unavailable

from identification.simulating import store
from identification.simulating.chunks import Answer, answer_chunk, simulate_chunk
from identification.simulating.results import save_answers
from identification.simulating.workers import dismiss_workers, in_worker, is_worker_lost, workers_max

log = logging.getLogger(__name__)
CHUNK_PEOPLE: Final = 2000  # half a second
CHUNKS_MAX: Final = 16
STORED_TOGETHER: Final = 4


class Done(NamedTuple):
    """The result of a step. `chunks`: how many ended, also with a fault."""

    chunks: int
    faults: list[BaseException]


async def run_simulations(database: Database, chunk_people: int = CHUNK_PEOPLE, chunks_max: int = CHUNKS_MAX) -> int:
    """Plan the chunks of the oldest open simulation, or run at most `chunks_max` of them.

    Return the number of chunks done, 1 after the planning, or 0 after a fault or if no simulation is open. After a
    kill, the next step repeats the unfinished chunks. A chunk that runs twice counts once.
    """
    async with database.transaction() as tx:
        simulation = await store.lock_oldest_open(tx)
        if simulation is not None and simulation.state == "waiting":
            await store.plan_chunks(tx, simulation.simulation_id, chunk_people)
            return 1
    if simulation is None:
        dismiss_workers()
        return 0
    done = await _run_chunks(database, simulation.simulation_id, chunks_max)
    if done.faults:
        await _handle_faults(database, simulation.simulation_id, done.faults)
        return 0
    return done.chunks


async def _run_chunks(database: Database, simulation_id: str, chunks_max: int) -> Done:
    """Run some open chunks and store their answers."""
    async with database.reading() as connection:
        chunks = await store.list_open_chunks(connection, simulation_id, chunks_max)
    faults, done = list[BaseException](), 0
    async with aclosing(_answers(database, simulation_id, chunks)) as parts:
        async for part in parts:
            answers: dict[int, Answer] = {}
            for n, answer in part.items():
                if isinstance(answer, Answer):
                    answers[n] = answer
                else:
                    faults.append(answer)
            async with database.transaction() as tx:
                await save_answers(tx, simulation_id, answers)
            done += len(part)
    return Done(done, faults)


async def _answers(
    database: Database, simulation_id: str, chunks: Sequence[int]
) -> AsyncGenerator[dict[int, Answer | BaseException], None]:
    """Yield by number the answers or faults of a few chunks at a time, in order.

    While the job stores them, the workers continue with the next chunks.
    """
    if not workers_max():
        for n in chunks[:1]:
            (answer,) = await asyncio.gather(answer_chunk(database, simulation_id, n), return_exceptions=True)
            yield {n: answer}
        return
    futures = {n: asyncio.ensure_future(in_worker(simulate_chunk, database.url, simulation_id, n)) for n in chunks}
    try:
        for start in range(0, len(chunks), STORED_TOGETHER):
            part = chunks[start : start + STORED_TOGETHER]
            answers = await asyncio.gather(*(futures[n] for n in part), return_exceptions=True)
            yield dict(zip(part, answers, strict=True))
    finally:
        await asyncio.gather(*futures.values(), return_exceptions=True)


async def _handle_faults(database: Database, simulation_id: str, faults: Sequence[BaseException]) -> None:
    """End the simulation as failed, unless all faults are a lost worker or an unavailable database.

    The chunks of such faults run again in the next step.
    """
    lasting = [fault for fault in faults if not (is_worker_lost(fault) or is_unavailable(fault))]
    if lasting:
        log.error("simulation %s failed: %r", simulation_id, lasting[0])
        async with database.transaction() as tx:
            await store.fail_simulation(tx, simulation_id, type(lasting[0]).__name__)
    if any(is_worker_lost(fault) for fault in faults):
        log.warning("simulation %s lost a worker; its chunks run again", simulation_id)
        dismiss_workers()
