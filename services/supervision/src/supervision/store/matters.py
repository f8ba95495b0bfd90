"""Store and lock open matters of people, with the instant at which each becomes an alert."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store.transaction import Tx

from supervision.domain.matters import Matter


class NewMatter(NamedTuple):
    person_id: str
    check_id: str
    subject: str
    since: datetime
    due_at: datetime
    division: str
    correlation_id: str

    @classmethod
    def of(cls, matter: Matter, division: str, correlation_id: str) -> "NewMatter":
        return cls(*matter, division, correlation_id)


class StoredMatter(NamedTuple):
    person_id: str
    check_id: str
    subject: str


class DueMatter(NamedTuple):
    person_id: str
    check_id: str
    subject: str
    division: str
    correlation_id: str | None


_UPSERT: Final = """
INSERT INTO matters (person_id, check_id, subject, since, due_at, division, correlation_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::uuid[])
ON CONFLICT (person_id, check_id) DO UPDATE SET division = excluded.division, raised = false
WHERE matters.division <> excluded.division
"""
_TAKE_DUE: Final = """
UPDATE matters m SET raised = true FROM (
  SELECT person_id, check_id FROM matters WHERE NOT raised AND due_at <= $1
  ORDER BY due_at, person_id LIMIT $2 FOR UPDATE SKIP LOCKED) due
WHERE m.person_id = due.person_id AND m.check_id = due.check_id
RETURNING m.person_id, m.check_id, m.subject, m.division, m.correlation_id
"""


async def lock_matters(tx: Tx, person_ids: Sequence[str]) -> list[StoredMatter]:
    """Lock the open matters of these people."""
    rows = await tx.sql.fetch(
        """SELECT person_id, check_id, subject FROM matters WHERE person_id = ANY($1::uuid[])
           ORDER BY person_id, check_id FOR UPDATE""",
        person_ids,
    )
    return [StoredMatter(*row) for row in rows]


async def upsert_matters(tx: Tx, matters: Sequence[NewMatter]) -> None:
    """Insert the matters that do not exist yet by person and check. Of the others only the area is replaced; a matter
    with another area becomes an alert again, so that the open alert gets this area."""
    if matters:
        await tx.sql.execute(_UPSERT, *map(list, zip(*sorted(matters), strict=True)))


async def delete_matters(tx: Tx, matters: Sequence[StoredMatter]) -> None:
    if matters:
        keys = sorted((matter.person_id, matter.check_id) for matter in matters)
        await tx.sql.execute(
            """DELETE FROM matters m USING unnest($1::uuid[], $2::text[]) AS u(person_id, check_id)
               WHERE m.person_id = u.person_id AND m.check_id = u.check_id""",
            *map(list, zip(*keys, strict=True)),
        )


async def take_due_matters(tx: Tx, now: datetime, limit: int) -> list[DueMatter]:
    """Mark due matters as raised, at most `limit`. Returns them."""
    return [DueMatter(*row) for row in await tx.sql.fetch(_TAKE_DUE, now, limit)]
