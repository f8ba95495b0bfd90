"""Store and read steps, the events of chains. They are written by COPY, because every change makes several."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from common.message import CAUSES_MAX
from shell.store.transaction import Tx

from supervision.domain.trace import Step, in_order

# the columns of `_COLUMNS`; every field is text that was checked before
StepLine = tuple[str, str, str | None, str | None, str | None, str, str | None, str, str]
_COLUMNS: Final = (
    "correlation_id",
    "event_id",
    "causation_id",
    "led_by",
    "person_id",
    "at",
    "version",
    "service",
    "what",
)
_MERGE: Final = """
INSERT INTO steps (correlation_id, event_id, causation_id, led_by, person_id, at, version, service, what)
SELECT a::uuid, b::uuid, c::uuid, d::uuid, e::uuid, f::timestamptz, g::bigint, h, i
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[]) AS u(a, b, c, d, e, f, g, h, i)
ON CONFLICT DO NOTHING
"""
_STEP: Final = "event_id, causation_id, led_by, person_id, at, service, what"
TRACE_MAX: Final = 2_000
CHUNK_BYTES: Final = 256 * 1024


class PersonStep(NamedTuple):
    """A step of a person. `changes`: the pushed changes that led to it."""

    step: Step
    changes: list[str]


class StepKey(NamedTuple):
    at: datetime
    event_id: str


async def append_steps(tx: Tx, lines: Sequence[StepLine]) -> None:
    """Store steps. `lines`: unique by change and event.

    Plain COPY is a third cheaper than a merge, so it comes first. The merge is for an event that is stored already (it
    was delivered twice).
    """
    if not lines:
        return
    text = "\n".join("\t".join([field or "\\N" for field in line]) for line in lines) + "\n"
    try:
        async with tx.sql.transaction():
            await tx.sql.copy_to_table("steps", source=_chunks(text.encode()), columns=_COLUMNS)
    except asyncpg.UniqueViolationError:
        await tx.sql.execute(_MERGE, *map(list, zip(*lines, strict=True)))


async def _chunks(text: bytes) -> AsyncIterator[bytes]:
    """Yield the text in pieces, as a source for COPY. For a file object asyncpg would create a class that keeps the
    whole text until the next cycle collection: a hundred megabytes in a burst."""
    for start in range(0, len(text), CHUNK_BYTES):
        yield text[start : start + CHUNK_BYTES]


async def load_chain(connection: asyncpg.Connection, correlation_id: str) -> list[Step]:
    """Load the steps of one change, also those that follow from states in which it was combined with other changes.

    Of each chain the oldest TRACE_MAX steps are read.
    """
    own = await _load(connection, correlation_id)
    found = {step.event_id: step for step in own}
    for leader in sorted({step.led_by for step in own if step.led_by}):
        combined = {step.event_id for step in own if step.led_by == leader}
        for step in _following(combined, await _load(connection, leader)):
            found.setdefault(step.event_id, step)
    return list(found.values())


def _following(causes: set[str], steps: Sequence[Step]) -> list[Step]:
    """Return the steps that follow from these causes (event ids), directly or indirectly."""
    reached = set(causes)
    found: list[Step] = []
    for step in in_order(steps):
        if step.causation_id in reached:
            reached.add(step.event_id)
            found.append(step)
    return found


async def load_person_steps(
    connection: asyncpg.Connection, person_id: str, *, limit: int, before: StepKey | None
) -> list[PersonStep]:
    """Return steps of a person, newest first, each event once. `before`: the last step of the page before."""
    rows = await connection.fetch(
        """SELECT event_id, min(causation_id::text) AS causation_id, NULL AS led_by, $1 AS person_id,
                  min(at) AS at, min(service) AS service, min(what) AS what,
                  (array_agg(correlation_id::text ORDER BY led_by NULLS FIRST, correlation_id))[1:$5] AS changes
           FROM steps WHERE person_id = $1::text::uuid GROUP BY event_id
           HAVING $2::timestamptz IS NULL OR (min(at), event_id) < ($2, $3::uuid)
           ORDER BY min(at) DESC, event_id DESC LIMIT $4""",
        person_id,
        *(before or (None, None)),
        limit,
        CAUSES_MAX,
    )
    return [PersonStep(_step(row), row["changes"]) for row in rows]


async def load_areas(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, str | None]:
    """Return by person id the area of each known person (residence, else hukou); None for no known area."""
    rows = await connection.fetch(
        "SELECT person_id, division FROM people WHERE person_id = ANY($1::text[]::uuid[])", list(person_ids)
    )
    return {row["person_id"]: row["division"] for row in rows}


async def remove_steps(tx: Tx, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` steps that are older than `before`. Returns their number."""
    done: str = await tx.sql.execute(
        "DELETE FROM steps WHERE ctid = ANY(ARRAY(SELECT ctid FROM steps WHERE at < $1 LIMIT $2))", before, limit
    )
    return int(done.rpartition(" ")[2])


async def _load(connection: asyncpg.Connection, correlation_id: str) -> list[Step]:
    rows = await connection.fetch(
        f"SELECT {_STEP} FROM steps WHERE correlation_id = $1 ORDER BY at, event_id LIMIT {TRACE_MAX}",  # noqa: S608
        correlation_id,
    )
    return [_step(row) for row in rows]


def _step(row: asyncpg.Record) -> Step:
    return Step(
        at=row["at"],
        service=row["service"],
        what=row["what"],
        person_id=row["person_id"],
        event_id=row["event_id"],
        causation_id=row["causation_id"],
        led_by=row["led_by"],
    )
