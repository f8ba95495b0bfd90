"""SQL of watched publications: their effect so far and the simulated effect on the same people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from rules.money.effects import Figures
from shell.store import reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from identification.lists.store.publications import Publication
from identification.tables import PublicationRow

_SUMS: Final = """count(*), coalesce(sum(fen) FILTER (WHERE fen > 0), 0)::bigint,
  coalesce(-sum(fen) FILTER (WHERE fen < 0), 0)::bigint"""
_STEP_COLUMNS: Final = (*Figures._fields, "people_simulated", "raised_simulated_fen", "cut_simulated_fen")
_STEP_SUMS: Final = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _STEP_COLUMNS)


class WatchedFigures(NamedTuple):
    """The effect of a publication so far, and the simulated effect on the same people."""

    live: Figures
    simulated: Figures


async def simulated_for(connection: asyncpg.Connection, simulation_id: str, person_ids: Sequence[str]) -> Figures:
    """Return the simulated effect on these people."""
    row = await connection.fetchrow(
        f"SELECT {_SUMS} FROM simulated_changes WHERE simulation_id = $1 AND person_id = ANY($2::uuid[])",  # noqa: S608
        simulation_id,
        person_ids,
    )
    return Figures(*row)


async def simulated_in_all(connection: asyncpg.Connection, simulation_id: str) -> Figures:
    """Return the simulated effect on all people."""
    row = await connection.fetchrow(
        f"SELECT {_SUMS} FROM simulated_changes WHERE simulation_id = $1",  # noqa: S608
        simulation_id,
    )
    return Figures(*row)


async def append_step(tx: Tx, publication: int, figures: WatchedFigures) -> None:
    """Store the figures of one step of deciding people again."""
    await tx.sql.execute(
        """INSERT INTO watched_steps (publication, people_changed, raised_fen, cut_fen, people_simulated,
             raised_simulated_fen, cut_simulated_fen) VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        publication,
        *figures.live,
        *figures.simulated,
    )


async def sum_steps(connection: asyncpg.Connection, publication: int) -> WatchedFigures:
    """Return the sums over all stored steps of a publication."""
    row = await connection.fetchrow(f"SELECT {_STEP_SUMS} FROM watched_steps WHERE publication = $1", publication)  # noqa: S608
    return WatchedFigures(Figures(*row[:3]), Figures(*row[3:]))


@reads.rows(Publication)
def list_done() -> Select[PublicationRow]:
    """Return watched publications whose people are all decided again, oldest first, at most 10."""
    return (
        select(PublicationRow)
        .where(col(PublicationRow.watched), col(PublicationRow.redecided_at).is_not(None))
        .order_by(col(PublicationRow.seq))
        .limit(10)
    )


async def end_watch(tx: Tx, seq: int) -> None:
    """End the watch of a publication. Remove its steps, and the simulated changes of single people."""
    await tx.sql.execute(
        """WITH ended AS (UPDATE publications SET watched = false WHERE seq = $1 RETURNING seq, simulation_id),
           gone AS (DELETE FROM watched_steps WHERE publication = (SELECT seq FROM ended))
           DELETE FROM simulated_changes WHERE simulation_id = (SELECT simulation_id FROM ended)""",
        seq,
    )


async def remove_old_changes(tx: Tx, before: datetime) -> int:
    """Remove the simulated changes of one simulation requested before `before`; return the number of simulations.

    The simulation of a watched publication keeps its changes.
    """
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
