"""SQL of simulations: requests, chunks and results."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

import asyncpg
from rules.money.effects import Window
from shell.store import reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx
from sqlalchemy import exists

from identification.lists.store.publications import SetId
from identification.tables import PublicationRow, SimulationChunkRow, SimulationRow

State = Literal["waiting", "running", "complete", "failed"]


class Question(NamedTuple):
    """The subject of a simulation. It must be equal in requests with the same Idempotency-Key."""

    version: str
    first_month: date
    months: int
    replayed: bool


class NewSimulation(NamedTuple):
    """The columns of a request (see `SimulationRow`)."""

    simulation_id: str
    jurisdiction: str
    version: str
    list: bytes
    basis: str
    base_seq: int
    base_digest: str
    first_month: date
    months: int
    known_at: datetime
    replayed: bool
    settled: bool
    demo: bool
    requested_by: str
    requested_at: datetime

    @property
    def question(self) -> Question:
        return Question(self.version, self.first_month, self.months, self.replayed)


class Status(NamedTuple):
    """A simulation without its list and its result."""

    simulation_id: str
    jurisdiction: str
    version: str
    state: State
    fault: str | None
    first_month: date
    months: int
    known_at: datetime
    replayed: bool
    basis: str
    requested_at: datetime
    completed_at: datetime | None
    chunks: int
    chunks_done: int
    people: int

    @property
    def question(self) -> Question:
        return Question(self.version, self.first_month, self.months, self.replayed)


class Simulation(NamedTuple):
    """A whole simulation. `list`: JSON. `base`: the lists to compare with. `result`: JSON of the tally so far."""

    status: Status
    list: bytes
    base: SetId
    settled: bool
    demo: bool
    result: bytes | None

    @property
    def window(self) -> Window:
        return Window.of(self.status.first_month, self.status.months, demo=self.demo)


class OpenSimulation(NamedTuple):
    simulation_id: str
    state: State


class CompleteSimulation(NamedTuple):
    """A finished simulation. Its age counts from `requested_at`."""

    simulation_id: str
    basis: str
    first_month: date
    months: int
    requested_at: datetime


class IdRange(NamedTuple):
    """Person ids above `after` up to `upto`; None: without bound."""

    after: str | None
    upto: str | None


_STATUS: Final = ", ".join(Status._fields)
_SIMULATION: Final = f"{_STATUS}, list, base_seq, base_digest, settled, demo, result"


def _simulation(row: Any) -> Simulation | None:
    if row is None:
        return None
    *status, content, seq, digest, settled, demo, result = row
    return Simulation(Status._make(status), content, SetId(seq, digest), settled, demo, result)


async def lock_requests(tx: Tx) -> None:
    """Exclude other requests, so that two equal requests make one simulation and the limit of open ones holds."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('identification.simulations'))")


async def count_open(tx: Tx) -> int:
    found: int = await tx.sql.fetchval("SELECT count(*) FROM simulations WHERE state IN ('waiting', 'running')")
    return found


async def insert_simulation(tx: Tx, new: NewSimulation) -> None:
    await tx.sql.execute(
        f"""INSERT INTO simulations ({", ".join(new._fields)}, state, chunks, chunks_done, people)
            VALUES ({", ".join(f"${n}" for n in range(1, len(new) + 1))}, 'waiting', 0, 0, 0)""",  # noqa: S608
        *new,
    )


async def find_open_same(tx: Tx, new: NewSimulation) -> Simulation | None:
    """Return the newest open simulation with the question and the basis of `new` that is no replay."""
    row = await tx.sql.fetchrow(
        f"""SELECT {_SIMULATION} FROM simulations
           WHERE version = $1 AND jurisdiction = $2 AND basis = $3 AND first_month = $4
             AND months = $5 AND demo = $6 AND NOT replayed AND state IN ('waiting', 'running')
           ORDER BY requested_at DESC LIMIT 1""",  # noqa: S608
        new.version,
        new.jurisdiction,
        new.basis,
        new.first_month,
        new.months,
        new.demo,
    )
    return _simulation(row)


async def load_simulation(connection: asyncpg.Connection, simulation_id: str) -> Simulation | None:
    row = await connection.fetchrow(
        f"SELECT {_SIMULATION} FROM simulations WHERE simulation_id = $1",  # noqa: S608
        simulation_id,
    )
    return _simulation(row)


async def lock_simulation(tx: Tx, simulation_id: str) -> Simulation:
    """Lock and return a simulation. It must exist."""
    row = await tx.sql.fetchrow(
        f"SELECT {_SIMULATION} FROM simulations WHERE simulation_id = $1 FOR UPDATE",  # noqa: S608
        simulation_id,
    )
    found = _simulation(row)
    assert found is not None
    return found


async def load_window(connection: asyncpg.Connection, simulation_id: str) -> Window:
    row = await connection.fetchrow(
        "SELECT first_month, months, demo FROM simulations WHERE simulation_id = $1", simulation_id
    )
    return Window.of(row[0], row[1], demo=row[2])


@reads.rows(Status)
def list_simulations(version: str) -> Select[SimulationRow]:
    """Return the simulations of a version, newest first, at most 100."""
    return (
        select(SimulationRow)
        .where(SimulationRow.version == version)
        .order_by(col(SimulationRow.requested_at).desc())
        .limit(100)
    )


@reads.rows(CompleteSimulation)
def list_complete(version: str) -> Select[SimulationRow]:
    """Return complete simulations of a version that no publication used, without replays; newest 100 first."""
    return (
        select(SimulationRow)
        .where(SimulationRow.version == version, SimulationRow.state == "complete", ~col(SimulationRow.replayed))
        .where(~exists().where(col(PublicationRow.simulation_id) == SimulationRow.simulation_id))
        .order_by(col(SimulationRow.requested_at).desc())
        .limit(100)
    )


@reads.row(OpenSimulation)
def lock_oldest_open() -> Select[SimulationRow]:
    return (
        select(SimulationRow)
        .where(col(SimulationRow.state).in_(["waiting", "running"]))
        .order_by(col(SimulationRow.requested_at), SimulationRow.simulation_id)
        .limit(1)
        .with_for_update()
    )


async def plan_chunks(tx: Tx, simulation_id: str, people_max: int) -> None:
    """Divide all people into chunks by id. A person stored later belongs to the chunk whose range contains its id."""
    await tx.sql.execute(
        """INSERT INTO simulation_chunks (simulation_id, n, after_id, upto_id)
           SELECT $1, row_number() OVER by_id - 1, lag(upto) OVER by_id, upto FROM (
             SELECT person_id AS upto FROM
               (SELECT person_id, row_number() OVER (ORDER BY person_id) AS place FROM persons) AS numbered
             WHERE place % $2 = 0 UNION ALL SELECT NULL) AS cuts
           WINDOW by_id AS (ORDER BY upto NULLS LAST)""",
        simulation_id,
        people_max,
    )
    await tx.sql.execute(
        """UPDATE simulations SET state = 'running',
             chunks = (SELECT count(*) FROM simulation_chunks WHERE simulation_id = $1) WHERE simulation_id = $1""",
        simulation_id,
    )


@reads.values
def list_open_chunks(simulation_id: str, limit: int) -> Select[int]:
    """Return the numbers of the first unfinished chunks."""
    return (
        select(SimulationChunkRow.n)
        .where(SimulationChunkRow.simulation_id == simulation_id, col(SimulationChunkRow.people).is_(None))
        .order_by(col(SimulationChunkRow.n))
        .limit(limit)
    )


async def load_chunk(connection: asyncpg.Connection, simulation_id: str, n: int) -> IdRange:
    row = await connection.fetchrow(
        "SELECT after_id, upto_id FROM simulation_chunks WHERE simulation_id = $1 AND n = $2", simulation_id, n
    )
    return IdRange._make(row)


async def finish_chunks(tx: Tx, simulation_id: str, people: Mapping[int, int]) -> set[int]:
    """Mark chunks as finished and return those that were not finished before. `people`: number of people by chunk."""
    rows = await tx.sql.fetch(
        """UPDATE simulation_chunks c SET people = d.people FROM unnest($2::int[], $3::int[]) AS d (n, people)
           WHERE c.simulation_id = $1 AND c.n = d.n AND c.people IS NULL RETURNING c.n""",
        simulation_id,
        list(people),
        list(people.values()),
    )
    return {row[0] for row in rows}


async def append_changes(tx: Tx, simulation_id: str, changes: Sequence[tuple[str, int]]) -> None:
    """Store the people whose decision would change. `changes`: (person_id, fen more or less over the window)."""
    await tx.sql.execute(
        """INSERT INTO simulated_changes (simulation_id, person_id, fen)
           SELECT $1, person_id, fen FROM unnest($2::uuid[], $3::bigint[]) AS c (person_id, fen)
           ON CONFLICT DO NOTHING""",
        simulation_id,
        [person_id for person_id, _ in changes],
        [fen for _, fen in changes],
    )


async def move_simulation(
    tx: Tx, simulation_id: str, *, chunks: int, people: int, result: bytes, completed_at: datetime | None
) -> None:
    """Store the progress of a simulation. `chunks`, `people`: how many more are done. `completed_at` completes it."""
    await tx.sql.execute(
        """UPDATE simulations SET chunks_done = chunks_done + $2, people = people + $3, result = $4, completed_at = $5,
             state = CASE WHEN $5::timestamptz IS NULL THEN state ELSE 'complete' END WHERE simulation_id = $1""",
        simulation_id,
        chunks,
        people,
        result,
        completed_at,
    )


async def fail_simulation(tx: Tx, simulation_id: str, fault: str) -> None:
    await tx.sql.execute(
        "UPDATE simulations SET state = 'failed', fault = $2 WHERE simulation_id = $1", simulation_id, fault
    )
