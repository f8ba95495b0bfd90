"""Every SQL statement about simulations: what is asked for, how far each has come, what it found."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import asyncpg
from rules.money.effects import Figures
from shell.store.transaction import Tx


class NewSimulation(NamedTuple):
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


async def lock_requests(tx: Tx) -> None:
    """One request at a time, so that the same one made twice at once is one, and the limit of open ones holds."""
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


async def find_same(tx: Tx, new: NewSimulation) -> Any:
    """An open or complete one of the same question that was asked of the present, or None."""
    return await tx.sql.fetchrow(
        """SELECT * FROM simulations WHERE version = $1 AND jurisdiction = $2 AND basis = $3 AND first_month = $4
             AND months = $5 AND demo = $6 AND NOT replayed AND state IN ('waiting', 'running')
           ORDER BY requested_at DESC LIMIT 1""",
        new.version,
        new.jurisdiction,
        new.basis,
        new.first_month,
        new.months,
        new.demo,
    )


async def load_simulation(connection: asyncpg.Connection, simulation_id: str) -> Any:
    return await connection.fetchrow("SELECT * FROM simulations WHERE simulation_id = $1", simulation_id)


async def load_window(connection: asyncpg.Connection, simulation_id: str) -> Any:
    return await connection.fetchrow(
        "SELECT first_month, months, demo FROM simulations WHERE simulation_id = $1", simulation_id
    )


async def list_simulations(connection: asyncpg.Connection, version: str) -> Sequence[Any]:
    """Without their lists and results, newest first."""
    rows: Sequence[Any] = await connection.fetch(
        """SELECT simulation_id, jurisdiction, version, basis, base_digest, first_month, months, known_at,
             replayed, demo, state, fault, requested_by, requested_at, completed_at, chunks, chunks_done, people
           FROM simulations WHERE version = $1 ORDER BY requested_at DESC LIMIT 100""",
        version,
    )
    return rows


async def lock_oldest_open(tx: Tx) -> Any:
    return await tx.sql.fetchrow(
        """SELECT simulation_id, state, chunks, chunks_done FROM simulations WHERE state IN ('waiting', 'running')
           ORDER BY requested_at, simulation_id LIMIT 1 FOR UPDATE"""
    )


async def lock_simulation(tx: Tx, simulation_id: str) -> Any:
    return await tx.sql.fetchrow("SELECT * FROM simulations WHERE simulation_id = $1 FOR UPDATE", simulation_id)


async def plan_chunks(tx: Tx, simulation_id: str, people_max: int) -> None:
    """Cut the people there are into chunks; those who come later belong to the one around their id."""
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


async def list_open_chunks(connection: asyncpg.Connection, simulation_id: str, limit: int) -> list[int]:
    rows = await connection.fetch(
        "SELECT n FROM simulation_chunks WHERE simulation_id = $1 AND people IS NULL ORDER BY n LIMIT $2",
        simulation_id,
        limit,
    )
    return [row[0] for row in rows]


async def load_chunk(connection: asyncpg.Connection, simulation_id: str, n: int) -> tuple[str | None, str | None]:
    row = await connection.fetchrow(
        "SELECT after_id, upto_id FROM simulation_chunks WHERE simulation_id = $1 AND n = $2", simulation_id, n
    )
    return row[0], row[1]


async def finish_chunks(tx: Tx, simulation_id: str, people: Mapping[int, int]) -> set[int]:
    """`people`: how many were looked at, by chunk. Returns the chunks that were not done before."""
    rows = await tx.sql.fetch(
        """UPDATE simulation_chunks c SET people = d.people FROM unnest($2::int[], $3::int[]) AS d (n, people)
           WHERE c.simulation_id = $1 AND c.n = d.n AND c.people IS NULL RETURNING c.n""",
        simulation_id,
        list(people),
        list(people.values()),
    )
    return {row[0] for row in rows}


async def append_changes(tx: Tx, simulation_id: str, changes: Sequence[tuple[str, int]]) -> None:
    """(person_id, fen) of whom the list is to change."""
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


async def list_complete(connection: asyncpg.Connection, version: str) -> Sequence[Any]:
    """What can be signed upon, newest first."""
    rows: Sequence[Any] = await connection.fetch(
        """SELECT simulation_id, basis, first_month, months, requested_at FROM simulations
           WHERE version = $1 AND state = 'complete' AND NOT replayed ORDER BY requested_at DESC LIMIT 100""",
        version,
    )
    return rows


_SUMS = """count(*), coalesce(sum(fen) FILTER (WHERE fen > 0), 0)::bigint,
  coalesce(-sum(fen) FILTER (WHERE fen < 0), 0)::bigint"""


async def simulated_for(connection: asyncpg.Connection, simulation_id: str, person_ids: Sequence[str]) -> Figures:
    """What these people were to come to."""
    row = await connection.fetchrow(
        f"SELECT {_SUMS} FROM simulated_changes WHERE simulation_id = $1 AND person_id = ANY($2::uuid[])",  # noqa: S608
        simulation_id,
        person_ids,
    )
    return Figures(*row)


async def simulated_in_all(connection: asyncpg.Connection, simulation_id: str) -> Figures:
    row = await connection.fetchrow(
        f"SELECT {_SUMS} FROM simulated_changes WHERE simulation_id = $1",  # noqa: S608
        simulation_id,
    )
    return Figures(*row)


async def append_step(tx: Tx, publication: int, live: Figures, simulated: Figures) -> None:
    await tx.sql.execute(
        """INSERT INTO watched_steps (publication, people_changed, raised_fen, cut_fen, people_simulated,
             raised_simulated_fen, cut_simulated_fen) VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        publication,
        *live,
        *simulated,
    )


async def sum_steps(connection: asyncpg.Connection, publication: int) -> tuple[Figures, Figures]:
    """What a publication has come to so far, and what was simulated for the same people."""
    names = (*Figures._fields, "people_simulated", "raised_simulated_fen", "cut_simulated_fen")
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)
    row = await connection.fetchrow(f"SELECT {sums} FROM watched_steps WHERE publication = $1", publication)  # noqa: S608
    return Figures(*row[:3]), Figures(*row[3:])


async def list_done_watches(connection: asyncpg.Connection) -> list[Any]:
    """Publications that are still watched though all their people are decided again, or others took their place."""
    rows: list[Any] = await connection.fetch(
        "SELECT * FROM publications WHERE watched AND redecided_at IS NOT NULL ORDER BY seq LIMIT 10"
    )
    return rows


async def end_watch(tx: Tx, seq: int) -> None:
    """The sums and the people are no longer needed."""
    await tx.sql.execute(
        """WITH ended AS (UPDATE publications SET watched = false WHERE seq = $1 RETURNING seq, simulation_id),
           gone AS (DELETE FROM watched_steps WHERE publication = (SELECT seq FROM ended))
           DELETE FROM simulated_changes WHERE simulation_id = (SELECT simulation_id FROM ended)""",
        seq,
    )


async def remove_old_changes(tx: Tx, before: datetime) -> int:
    """Of simulations that are too old to be signed upon and hold no publication; returns how many simulations."""
    rows = await tx.sql.fetch(
        """WITH old AS (
             SELECT simulation_id FROM simulations s WHERE requested_at < $1 AND state IN ('complete', 'failed')
               AND EXISTS (SELECT FROM simulated_changes c WHERE c.simulation_id = s.simulation_id)
               AND NOT EXISTS (SELECT FROM publications p WHERE p.simulation_id = s.simulation_id AND p.watched)
             ORDER BY requested_at LIMIT 1),
           gone AS (DELETE FROM simulated_changes WHERE simulation_id IN (SELECT simulation_id FROM old))
           SELECT simulation_id FROM old""",
        before,
    )
    return len(rows)
