"""`GET /v1/audits`: who looked at or decided what, when and why. For auditors alone."""

from datetime import datetime
from typing import Annotated, Any
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

from ingestion.audits import store

router = APIRouter(tags=["audits"])
Auditor = Annotated[Caller, Depends(require_only("auditor"))]


class AuditShown(BaseModel):
    """`actor`: the subject of the token, with its `role` and area (`division`); `persons`: how many the row is about;
    `fields`: of the vault, where any were revealed."""

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
    person_ids: list[str] = Field(max_length=100, description="the first hundred")


class AuditPage(BaseModel):
    audits: list[AuditShown] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page")


@router.get("/v1/audits", summary="Who looked at or decided what, and why")
async def list_audits(
    caller: Auditor,
    db: Db,
    person_id: UUID | None = None,
    actor: Annotated[str | None, Query(min_length=1, max_length=200, pattern=ONE_LINE)] = None,
    since: Annotated[Instant | None, Query(alias="from", description="an instant with its offset")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="exclusive")] = None,
    after: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 100,
) -> AuditPage:
    """Rows of actors in the auditor's area; an auditor of the nation sees all. Each request is an audit row too."""
    person = str(person_id) if person_id else None
    wanted = store.Wanted(scope_of(caller), person, actor, since, until, after)
    async with db.transaction() as tx:
        rows = await store.list_audits(tx.sql, wanted, limit)
        await store.append_audit(
            tx,
            caller,
            clock.real_now(),
            action="read_audits",
            purpose="audit",
            cause="",
            person_ids=[person] if person else [],
        )
    page = [_shown(row) for row in rows]
    return AuditPage(audits=page, next=page[-1].audit_id if len(page) == limit else None)


def _shown(row: Any) -> AuditShown:
    persons = msgspec.json.decode(row["person_ids"], type=list[str])
    return AuditShown(
        **{name: row[name] for name in ("at", "actor", "role", "division", "purpose", "cause")},
        audit_id=str(row["audit_id"]),
        act=row["action"],
        fields=row["fields"].split(",") if row["fields"] else [],
        persons=len(persons),
        person_ids=persons[:100],
    )
