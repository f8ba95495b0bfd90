"""Every SQL statement about the lists: what is proposed, what is published, what is running."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from rules.form.policy import PolicyList
from shell.store.transaction import Tx

from identification.lists.store.coverage import load_coverage_at

_decode = msgspec.json.Decoder(PolicyList).decode
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('identification.lists'))"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtext('identification.lists'))"


def content_version(policy_list: PolicyList) -> str:
    """The digest of a list's content: the same list has the same version wherever it comes from."""
    content = msgspec.json.encode(policy_list, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:32]


def running_digest(versions: Mapping[str, str], declared: Mapping[str, Any]) -> str:
    """Names a set of lists (versions by area) with what is told where (feeds by division)."""
    content = {**versions, **({"coverage": declared} if declared else {})}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


async def lock_lists(tx: Tx) -> None:
    """Nobody decides, and nobody else publishes, until this transaction ends. So everybody who is decided by the
    old lists is stored before the people they touch are looked up."""
    await tx.sql.execute(_LOCK)


async def lock_proposals(tx: Tx) -> None:
    """One proposal at a time, so that the same list proposed twice at once is one."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('identification.lists.proposals'))")


async def share_lists(tx: Tx) -> None:
    """Nobody publishes until this transaction ends."""
    await tx.sql.execute(_LOCK_SHARED)


async def newest_publication(connection: asyncpg.Connection) -> tuple[int, str]:
    """(seq, running digest); (0, "") before the first."""
    row = await connection.fetchrow("SELECT seq, running_digest FROM publications ORDER BY seq DESC LIMIT 1")
    return (row[0], row[1]) if row else (0, "")


async def publication_known_at(connection: asyncpg.Connection, known_at: datetime) -> tuple[int, str]:
    """The newest publication of an instant; before the first one the first set counts, since a platform judges the
    time before it began by the lists it began with."""
    row = await connection.fetchrow(
        """SELECT seq, running_digest FROM publications
           WHERE published_at <= greatest($1::timestamptz, (SELECT min(published_at) FROM publications))
           ORDER BY seq DESC LIMIT 1""",
        known_at,
    )
    return (row[0], row[1]) if row else (0, "")


async def publication_of_digest(connection: asyncpg.Connection, digest: str) -> tuple[int, str]:
    """The newest publication of a set of lists; (0, "") where there is none."""
    row = await connection.fetchrow(
        "SELECT seq, running_digest FROM publications WHERE running_digest = $1 ORDER BY seq DESC LIMIT 1", digest
    )
    return (row[0], row[1]) if row else (0, "")


async def publication_behind(connection: asyncpg.Connection, digest: str) -> tuple[int, str]:
    """The newest publication by which somebody decided by that set of lists is known to be decided alike: up to the
    first whose people are not all decided again, whoever was not touched has kept the decision. A halted one is open
    until everybody is decided back."""
    row = await connection.fetchrow(
        """SELECT seq, running_digest FROM publications WHERE seq = greatest(
             (SELECT max(seq) FROM publications WHERE running_digest = $1),
             (SELECT coalesce(min(least(p.seq, halted.seq)) FILTER (WHERE p.redecided_at IS NULL) - 1, max(p.seq))
              FROM publications p LEFT JOIN publications halted
                ON halted.jurisdiction = p.jurisdiction AND halted.halted_at = p.published_at))""",
        digest,
    )
    return (row[0], row[1]) if row else (0, "")


async def load_lists_at(connection: asyncpg.Connection, seq: int) -> dict[str, tuple[str, bytes]]:
    """(version, list) by area, as they ran after that publication."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (p.jurisdiction) p.jurisdiction, p.version, policies.list
           FROM publications p JOIN policies USING (version)
           WHERE p.seq <= $1 ORDER BY p.jurisdiction, p.seq DESC""",
        seq,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def running_versions(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch(
        """SELECT DISTINCT ON (jurisdiction) jurisdiction, version FROM publications WHERE jurisdiction IS NOT NULL
           ORDER BY jurisdiction, seq DESC"""
    )
    return dict(tuple(row) for row in rows)


async def known_versions(connection: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await connection.fetch("SELECT version FROM policies")}


def decode_list(content: bytes) -> PolicyList:
    return _decode(content)


async def append_publication(
    tx: Tx,
    *,
    jurisdiction: str,
    version: str,
    published_at: datetime,
    published_by: str,
    approved_by: str,
    event_id: str,
    simulated: tuple[str, str] | None,
) -> None:
    """The caller holds `lock_lists`."""
    versions = await running_versions(tx.sql)
    versions[jurisdiction] = version
    declared = await load_coverage_at(tx.sql, (await newest_publication(tx.sql))[0])
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
        running_digest(versions, declared),
        event_id,
        *(simulated or (None, None)),
    )


async def insert_policy(
    tx: Tx, policy_list: PolicyList, version: str, *, state: str, proposed_by: str, proposed_at: datetime
) -> None:
    await tx.sql.execute(
        """INSERT INTO policies (version, jurisdiction, state, proposed_by, proposed_at, approvals, list)
           VALUES ($1, $2, $3, $4, $5, '[]', $6)""",
        version,
        policy_list.jurisdiction,
        state,
        proposed_by,
        proposed_at,
        msgspec.json.encode(policy_list, order="deterministic"),
    )


_POLICY = """
SELECT policies.*, last.published_at, last.halted_at, last.halted_by, last.halt_reason,
  policies.version IS NOT DISTINCT FROM (
    SELECT p.version FROM publications p WHERE p.jurisdiction = policies.jurisdiction ORDER BY p.seq DESC LIMIT 1
  ) AS running
FROM policies LEFT JOIN LATERAL (
  SELECT * FROM publications p WHERE p.version = policies.version ORDER BY p.seq DESC LIMIT 1) AS last ON true
"""


async def lock_policy(tx: Tx, version: str) -> Any:
    """The whole row with `published_at` and `running`, or None."""
    return await tx.sql.fetchrow(f"{_POLICY} WHERE policies.version = $1 FOR UPDATE OF policies", version)


async def load_policy(connection: asyncpg.Connection, version: str) -> Any:
    """As `lock_policy`, for reading."""
    return await connection.fetchrow(f"{_POLICY} WHERE policies.version = $1", version)


async def newest_publication_of(connection: asyncpg.Connection, version: str) -> Any:
    """The whole row, or None."""
    return await connection.fetchrow("SELECT * FROM publications WHERE version = $1 ORDER BY seq DESC LIMIT 1", version)


async def update_policy(tx: Tx, version: str, *, state: str, approvals: str) -> None:
    await tx.sql.execute("UPDATE policies SET state = $2, approvals = $3 WHERE version = $1", version, state, approvals)


async def propose_again(tx: Tx, version: str, *, proposed_by: str, proposed_at: datetime) -> None:
    await tx.sql.execute(
        """UPDATE policies SET state = 'proposed', approvals = '[]', proposed_by = $2, proposed_at = $3
           WHERE version = $1""",
        version,
        proposed_by,
        proposed_at,
    )


async def list_policies(
    connection: asyncpg.Connection, draft_areas: Sequence[str], *, state: str | None, after: str | None, limit: int
) -> Sequence[Any]:
    """Versions that are or were in force, and the drafts of `draft_areas`, by version."""
    rows: Sequence[Any] = await connection.fetch(
        f"""{_POLICY} WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR policies.version > $2)
             AND (state NOT IN ('proposed', 'approved') OR policies.jurisdiction = ANY($4::text[]))
           ORDER BY policies.version LIMIT $3""",
        state,
        after,
        limit,
        draft_areas,
    )
    return rows


async def list_draft_areas(connection: asyncpg.Connection) -> list[str]:
    """The areas that have a version which is not in force yet."""
    rows = await connection.fetch("SELECT DISTINCT jurisdiction FROM policies WHERE state IN ('proposed', 'approved')")
    return [row[0] for row in rows]


async def load_running(connection: asyncpg.Connection, jurisdiction: str) -> Any:
    """The published list of an area with its publication, or None."""
    return await connection.fetchrow(
        """SELECT p.version, p.published_at, p.approved_by, policies.list FROM publications p
           JOIN policies USING (version) WHERE p.jurisdiction = $1 ORDER BY p.seq DESC LIMIT 1""",
        jurisdiction,
    )


async def count_waiting(tx: Tx, limit: int) -> int:
    """How much waits in the outbox, counted up to `limit`."""
    found: int = await tx.sql.fetchval("SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS waiting", limit)
    return found


async def lock_running_publication(tx: Tx, version: str) -> Any:
    """The publication by which a version is in force, or None."""
    return await tx.sql.fetchrow(
        """SELECT * FROM publications p WHERE version = $1
             AND seq = (SELECT max(seq) FROM publications WHERE jurisdiction = p.jurisdiction) FOR UPDATE""",
        version,
    )


async def load_publication_before(connection: asyncpg.Connection, publication: Any) -> Any:
    """The last other list that was in force in its area before and was not halted, or None."""
    return await connection.fetchrow(
        """SELECT p.version, p.approved_by, policies.list FROM publications p JOIN policies USING (version)
           WHERE p.jurisdiction = $1 AND p.seq < $2 AND p.version <> $3 AND p.halted_at IS NULL
           ORDER BY p.seq DESC LIMIT 1""",
        publication["jurisdiction"],
        publication["seq"],
        publication["version"],
    )


async def halt_publication(tx: Tx, seq: int, *, at: datetime, by: str, reason: str) -> None:
    """It is no longer in force, and nobody else is decided again for it."""
    await tx.sql.execute(
        """WITH halted AS (
             UPDATE publications SET halted_at = $2, halted_by = $3, halt_reason = $4,
               redecided_at = coalesce(redecided_at, $2) WHERE seq = $1 RETURNING version),
             gone AS (DELETE FROM redecisions WHERE publication = $1)
           UPDATE policies SET state = 'halted' WHERE version = (SELECT version FROM halted)""",
        seq,
        at,
        by,
        reason,
    )


async def publication_before(connection: asyncpg.Connection, seq: int) -> tuple[int, str]:
    """(seq, running digest) of the one before, of whatever area; (0, "") before the first."""
    row = await connection.fetchrow(
        "SELECT seq, running_digest FROM publications WHERE seq < $1 ORDER BY seq DESC LIMIT 1", seq
    )
    return (row[0], row[1]) if row else (0, "")


async def mark_published(tx: Tx, version: str) -> None:
    await tx.sql.execute("UPDATE policies SET state = 'published' WHERE version = $1", version)


async def digests_after(connection: asyncpg.Connection, seq: int) -> set[str]:
    """Of the sets of lists that came into force after a publication."""
    return {row[0] for row in await connection.fetch("SELECT running_digest FROM publications WHERE seq > $1", seq)}


async def load_watched(connection: asyncpg.Connection, seq: int) -> Any:
    """A publication that is held to its simulation, or None."""
    return await connection.fetchrow("SELECT * FROM publications WHERE seq = $1 AND watched", seq)


async def any_redecision_open(connection: asyncpg.Connection) -> bool:
    """Whether people still have to be decided again because of a publication."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM publications WHERE redecided_at IS NULL)")
    return found
