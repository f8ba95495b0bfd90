"""`GET /v1/audits`: accesses and decisions with actor, time and reason. For auditors only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require_only
from shell.access.scopes import scope_of
from shell.http.answers import Limit
from shell.http.params import ONE_LINE, Instant
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store

router = APIRouter(tags=["audits"])
Auditor = Annotated[Caller, Depends(require_only("auditor"))]
PERSON_IDS_MAX: Final = 100


class AuditOut(BaseModel):
    """`actor`: the subject of the token, with its `role` and area (`division`). `persons`: the number of persons.
    `fields`: the fields of the vault that were revealed; `row` for a download of rejected rows."""

    audit_id: str
    at: datetime
    actor: str
    role: str
    division: str | None
    act: str
    purpose: str
    cause: str
    fields: list[str]
    persons: int
    person_ids: list[str] = Field(max_length=PERSON_IDS_MAX, description="the first hundred")


class AuditPageOut(BaseModel):
    audits: list[AuditOut] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page")


@router.get("/v1/audits", summary="List accesses and decisions with their reasons")
async def list_audits(
    caller: Auditor,
    db: Db,
    person_id: UUID | None = None,
    actor: Annotated[str | None, Query(min_length=1, max_length=200, pattern=ONE_LINE)] = None,
    since: Annotated[Instant | None, Query(alias="from", description="an instant with its offset")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="exclusive")] = None,
    after: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 100,
) -> AuditPageOut:
    """Rows of actors in the auditor's area; an auditor of the nation sees all rows. Each request adds a row itself."""
    person = str(person_id) if person_id else None
    wanted = store.Wanted(scope_of(caller), person, actor, since, until, after)
    async with db.transaction() as tx:
        rows = await store.list_audits(tx.sql, wanted, limit)
        await _audit(tx, caller, [person] if person else [])
    page = [_shown(row) for row in rows]
    return AuditPageOut(audits=page, next=_next(page, limit))


def _next(page: Sequence[AuditOut], limit: int) -> str | None:
    """Return the cursor of the next page; None if this page is not full and therefore the last one."""
    return page[-1].audit_id if len(page) == limit else None


async def _audit(tx: Tx, caller: Caller, person_ids: list[str]) -> None:
    at = clock.real_now()
    await store.append_audit(tx, caller, at, action="read_audits", purpose="audit", cause="", person_ids=person_ids)


def _shown(row: store.Audit) -> AuditOut:
    persons = msgspec.json.decode(row.person_ids, type=list[str])
    return AuditOut(
        audit_id=str(row.audit_id),
        at=row.at,
        actor=row.actor,
        role=row.role,
        division=row.division,
        act=row.action,
        purpose=row.purpose,
        cause=row.cause,
        fields=row.revealed,
        persons=len(persons),
        person_ids=persons[:PERSON_IDS_MAX],
    )
