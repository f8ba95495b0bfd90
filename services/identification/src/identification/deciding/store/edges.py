"""SQL of the daily edges: the next day with a start or end per person, and the day that the job has reached."""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import asyncpg
from shell.store.transaction import Tx

from identification.deciding.domain.person import Person

DAILY_EDGE: Final = "daily_edge"


class Progress(NamedTuple):
    """The progress of the job. `next_on`: the first day with edges to emit. `reached`: the last day that the job has
    completed, `YYYY-MM-DD`."""

    next_on: date | None
    reached: str | None


class NextEdge(NamedTuple):
    person_id: str
    next_edge_on: date | None


async def load_progress(connection: asyncpg.Connection) -> Progress:
    row = await connection.fetchrow(
        "SELECT (SELECT min(next_edge_on) FROM persons), (SELECT mark FROM job_marks WHERE job = $1)", DAILY_EDGE
    )
    return Progress._make(row)


async def lock_people_with_edge(tx: Tx, day: date, limit: int) -> list[Person]:
    """Lock and return people with edges to emit on a day."""
    rows = await tx.sql.fetch(
        f"""SELECT {", ".join(Person._fields)} FROM persons WHERE next_edge_on = $1 ORDER BY person_id LIMIT $2
            FOR NO KEY UPDATE""",  # noqa: S608
        day,
        limit,
    )
    return [Person._make(row) for row in rows]


async def move_edges(tx: Tx, moved: Sequence[NextEdge]) -> None:
    """Store the next day with edges of locked people."""
    if moved:
        await tx.sql.execute(
            """UPDATE persons SET next_edge_on = n.day FROM unnest($1::uuid[], $2::date[]) AS n (person_id, day)
               WHERE persons.person_id = n.person_id""",
            [edge.person_id for edge in moved],
            [edge.next_edge_on for edge in moved],
        )


async def mark_day(tx: Tx, day: date) -> None:
    """Store the day that the job has completed."""
    await tx.sql.execute(
        """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
           ON CONFLICT (job) DO UPDATE SET mark = excluded.mark, moved_at = now()""",
        DAILY_EDGE,
        day.isoformat(),
    )
