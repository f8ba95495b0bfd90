"""SQL of `policies`: every version of every list, with its state and its signatures."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import asyncpg
from rules.form.policy import PolicyList
from shell.store.transaction import Tx

from identification.lists.domain.content import encode_list

State = Literal["proposed", "approved", "published", "halted"]


class Policy(NamedTuple):
    """One version of a list. `approvals`: JSON (see `PolicyRow`). `published_at` and `halt…`: of its last publication.
    `running`: this version is in force in its area."""

    version: str
    jurisdiction: str
    state: State
    proposed_by: str
    proposed_at: datetime
    approvals: str
    list: bytes
    published_at: datetime | None
    halted_at: datetime | None
    halted_by: str | None
    halt_reason: str | None
    running: bool


_POLICY: Final = """
SELECT policies.version, policies.jurisdiction, policies.state, policies.proposed_by, policies.proposed_at,
  policies.approvals, policies.list, last.published_at, last.halted_at, last.halted_by, last.halt_reason,
  policies.version IS NOT DISTINCT FROM (
    SELECT p.version FROM publications p WHERE p.jurisdiction = policies.jurisdiction ORDER BY p.seq DESC LIMIT 1
  ) AS running
FROM policies LEFT JOIN LATERAL (
  SELECT * FROM publications p WHERE p.version = policies.version ORDER BY p.seq DESC LIMIT 1) AS last ON true
"""


def _policy(row: Any) -> Policy | None:
    return Policy._make(row) if row else None


async def lock_policy(tx: Tx, version: str) -> Policy | None:
    row = await tx.sql.fetchrow(f"{_POLICY} WHERE policies.version = $1 FOR UPDATE OF policies", version)
    return _policy(row)


async def load_policy(connection: asyncpg.Connection, version: str) -> Policy | None:
    row = await connection.fetchrow(f"{_POLICY} WHERE policies.version = $1", version)
    return _policy(row)


async def list_policies(
    connection: asyncpg.Connection, draft_areas: Sequence[str], *, state: str | None, after: str | None, limit: int
) -> list[Policy]:
    """Return the published and halted versions, and the drafts of `draft_areas`, sorted by version. A draft is a
    proposed or approved version, also if it was in force before.

    `state`: only this state; None: all. `after`: the last version of the previous page.
    """
    rows = await connection.fetch(
        f"""{_POLICY} WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR policies.version > $2)
             AND (state NOT IN ('proposed', 'approved') OR policies.jurisdiction = ANY($4::text[]))
           ORDER BY policies.version LIMIT $3""",
        state,
        after,
        limit,
        draft_areas,
    )
    return [Policy._make(row) for row in rows]


async def list_draft_areas(connection: asyncpg.Connection) -> list[str]:
    """Return the areas with a proposed or approved version."""
    rows = await connection.fetch("SELECT DISTINCT jurisdiction FROM policies WHERE state IN ('proposed', 'approved')")
    return [row[0] for row in rows]


async def known_versions(connection: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await connection.fetch("SELECT version FROM policies")}


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
        encode_list(policy_list),
    )


async def update_policy(tx: Tx, version: str, *, state: str, approvals: str) -> None:
    await tx.sql.execute("UPDATE policies SET state = $2, approvals = $3 WHERE version = $1", version, state, approvals)


async def propose_again(tx: Tx, version: str, *, proposed_by: str, proposed_at: datetime) -> None:
    """Make a published or halted version a proposal without signatures."""
    await tx.sql.execute(
        """UPDATE policies SET state = 'proposed', approvals = '[]', proposed_by = $2, proposed_at = $3
           WHERE version = $1""",
        version,
        proposed_by,
        proposed_at,
    )


async def mark_published(tx: Tx, version: str) -> None:
    await tx.sql.execute("UPDATE policies SET state = 'published' WHERE version = $1", version)
