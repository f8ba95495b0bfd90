"""SQL of `publications`: the lists that are or were in force. The number `seq` orders the publications."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
from shell.store import reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from identification.lists.domain.content import set_digest
from identification.lists.store.coverage import load_coverage_at
from identification.tables import PublicationRow


class SetId(NamedTuple):
    """A set of lists: the last publication that made it, and the digest of its content."""

    seq: int
    digest: str


class Publication(NamedTuple):
    """A publication of a list. `simulation_id` and `band`: None if the list came from the files or from a halt."""

    seq: int
    jurisdiction: str
    version: str
    running_digest: str
    people: int
    simulation_id: str | None
    band: str | None
    halted_at: datetime | None

    @property
    def set_id(self) -> SetId:
        """The set of lists in force after this publication."""
        return SetId(self.seq, self.running_digest)


class ListInForce(NamedTuple):
    """The list in force in an area. `approved_by`: JSON array of subjects. `list`: JSON."""

    version: str
    published_at: datetime
    approved_by: str
    list: bytes


class EarlierList(NamedTuple):
    """A list that was in force before. `approved_by`: JSON array of subjects. `list`: JSON."""

    version: str
    approved_by: str
    list: bytes


class StoredList(NamedTuple):
    version: str
    list: bytes


class Signed(NamedTuple):
    """The simulation that approvers signed, and the tolerance as JSON (`PublicationRow.band`)."""

    simulation_id: str
    band: str


NO_SET: Final = SetId(0, "")
_PUBLICATION: Final = ", ".join(Publication._fields)


async def newest_set(connection: asyncpg.Connection) -> SetId:
    """Return the set in force; NO_SET before the first publication."""
    row = await connection.fetchrow("SELECT seq, running_digest FROM publications ORDER BY seq DESC LIMIT 1")
    return _set_id(row)


async def set_known_at(connection: asyncpg.Connection, known_at: datetime) -> SetId:
    """Return the set in force at an instant. The first set also counts for the time before the first publication."""
    row = await connection.fetchrow(
        """SELECT seq, running_digest FROM publications
           WHERE published_at <= greatest($1::timestamptz, (SELECT min(published_at) FROM publications))
           ORDER BY seq DESC LIMIT 1""",
        known_at,
    )
    return _set_id(row)


async def set_of_digest(connection: asyncpg.Connection, digest: str) -> SetId:
    """Return the set with a digest, as made by its newest publication; NO_SET if no publication made it."""
    row = await connection.fetchrow(
        "SELECT seq, running_digest FROM publications WHERE running_digest = $1 ORDER BY seq DESC LIMIT 1", digest
    )
    return _set_id(row)


async def newest_equivalent_set(connection: asyncpg.Connection, digest: str) -> SetId:
    """Return the newest set that is known to leave a person's decision by the set `digest` unchanged.

    A publication is open until all people whom it may touch are decided again. The result is the newest set before the
    first open publication: a person who still has an older decision was not touched. A halted publication stays open
    until its people are decided again.
    """
    row = await connection.fetchrow(
        """SELECT seq, running_digest FROM publications WHERE seq = greatest(
             (SELECT max(seq) FROM publications WHERE running_digest = $1),
             (SELECT coalesce(min(least(p.seq, halted.seq)) FILTER (WHERE p.redecided_at IS NULL) - 1, max(p.seq))
              FROM publications p LEFT JOIN publications halted
                ON halted.jurisdiction = p.jurisdiction AND halted.halted_at = p.published_at))""",
        digest,
    )
    return _set_id(row)


async def set_before(connection: asyncpg.Connection, seq: int) -> SetId:
    """Return the set in force before publication `seq`; NO_SET before the first."""
    row = await connection.fetchrow(
        "SELECT seq, running_digest FROM publications WHERE seq < $1 ORDER BY seq DESC LIMIT 1", seq
    )
    return _set_id(row)


def _set_id(row: Any) -> SetId:
    return SetId._make(row) if row else NO_SET


async def load_lists_at(connection: asyncpg.Connection, seq: int) -> dict[str, StoredList]:
    """Return the lists in force after publication `seq`, by area."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (p.jurisdiction) p.jurisdiction, p.version, policies.list
           FROM publications p JOIN policies USING (version)
           WHERE p.seq <= $1 ORDER BY p.jurisdiction, p.seq DESC""",
        seq,
    )
    return {row[0]: StoredList(row[1], row[2]) for row in rows}


async def versions_in_force(connection: asyncpg.Connection) -> dict[str, str]:
    """Return the version in force by area."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (jurisdiction) jurisdiction, version FROM publications WHERE jurisdiction IS NOT NULL
           ORDER BY jurisdiction, seq DESC"""
    )
    return dict(tuple(row) for row in rows)


async def load_list_in_force(connection: asyncpg.Connection, jurisdiction: str) -> ListInForce | None:
    row = await connection.fetchrow(
        """SELECT p.version, p.published_at, p.approved_by, policies.list FROM publications p
           JOIN policies USING (version) WHERE p.jurisdiction = $1 ORDER BY p.seq DESC LIMIT 1""",
        jurisdiction,
    )
    return ListInForce._make(row) if row else None


async def load_earlier_list(connection: asyncpg.Connection, publication: Publication) -> EarlierList | None:
    """Return the last other list of the area before `publication`, without lists whose last publication was halted."""
    row = await connection.fetchrow(
        """SELECT p.version, p.approved_by, policies.list FROM publications p JOIN policies USING (version)
           WHERE p.jurisdiction = $1 AND p.seq < $2 AND p.version <> $3 AND p.halted_at IS NULL
             AND NOT EXISTS (SELECT FROM publications later WHERE later.jurisdiction = $1
               AND later.version = p.version AND later.seq > p.seq AND later.seq < $2)
           ORDER BY p.seq DESC LIMIT 1""",
        publication.jurisdiction,
        publication.seq,
        publication.version,
    )
    return EarlierList._make(row) if row else None


async def began_with_proposal(connection: asyncpg.Connection, jurisdiction: str) -> bool:
    """Whether the first list of an area was a signed proposal and not from the files. The area must have a list."""
    found: bool = await connection.fetchval(
        "SELECT simulation_id IS NOT NULL FROM publications WHERE jurisdiction = $1 ORDER BY seq LIMIT 1", jurisdiction
    )
    return found


@reads.row(Publication)
def newest_publication_of(version: str) -> Select[PublicationRow]:
    return (
        select(PublicationRow)
        .where(PublicationRow.version == version)
        .order_by(col(PublicationRow.seq).desc())
        .limit(1)
    )


async def lock_publication_in_force(tx: Tx, version: str) -> Publication | None:
    """Lock and return the publication by which a version is in force now; None: it is not in force."""
    row = await tx.sql.fetchrow(
        f"""SELECT {_PUBLICATION} FROM publications p WHERE version = $1
             AND seq = (SELECT max(seq) FROM publications WHERE jurisdiction = p.jurisdiction) FOR UPDATE""",  # noqa: S608
        version,
    )
    return Publication._make(row) if row else None


@reads.row(Publication)
def load_watched(seq: int) -> Select[PublicationRow]:
    """Return the publication `seq` if its effect is still compared with its simulation, else None."""
    return select(PublicationRow).where(PublicationRow.seq == seq, col(PublicationRow.watched))


async def append_publication(
    tx: Tx,
    *,
    jurisdiction: str,
    version: str,
    published_at: datetime,
    published_by: str,
    approved_by: str,
    event_id: str,
    signed: Signed | None,
) -> None:
    """Store a publication, which puts a version in force in its area. The caller holds `locks.lock_lists`.

    `approved_by`: JSON array of subjects. `signed`: None if the list came from the files or from a halt.
    """
    versions = await versions_in_force(tx.sql) | {jurisdiction: version}
    declared = await load_coverage_at(tx.sql, (await newest_set(tx.sql)).seq)
    await tx.sql.execute(
        """INSERT INTO publications (seq, jurisdiction, version, published_at, published_by, approved_by,
             running_digest, event_id, people_touched, people, people_changed, simulation_id, band, watched)
           SELECT coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, 0, 0, 0, $8::uuid, $9,
             $8::uuid IS NOT NULL FROM publications""",
        jurisdiction,
        version,
        published_at,
        published_by,
        approved_by,
        set_digest(versions, declared),
        event_id,
        *(signed or (None, None)),
    )


async def halt_publication(tx: Tx, seq: int, *, at: datetime, by: str, reason: str) -> None:
    """Mark a publication halted and remove its people that are still to be decided again. Keep the counts of those
    whom it has decided."""
    await tx.sql.execute(
        """WITH halted AS (
             UPDATE publications SET halted_at = $2, halted_by = $3, halt_reason = $4,
               redecided_at = coalesce(redecided_at, $2),
               people = coalesce((SELECT sum(people) FROM redecisions WHERE publication = $1), people),
               people_changed = coalesce(
                 (SELECT sum(people_changed) FROM redecisions WHERE publication = $1), people_changed)
             WHERE seq = $1 RETURNING version),
             gone AS (DELETE FROM redecisions WHERE publication = $1)
           UPDATE policies SET state = 'halted' WHERE version = (SELECT version FROM halted)""",
        seq,
        at,
        by,
        reason,
    )


async def digests_after(connection: asyncpg.Connection, seq: int) -> set[str]:
    """Return the digests of the sets that came into force after publication `seq`."""
    return {row[0] for row in await connection.fetch("SELECT running_digest FROM publications WHERE seq > $1", seq)}


async def any_redecision_open(connection: asyncpg.Connection) -> bool:
    """Whether people are still to be decided again because of a publication."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM publications WHERE redecided_at IS NULL)")
    return found
