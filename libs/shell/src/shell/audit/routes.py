"""The routes of the audit log, in every service: `GET /v1/audits` and `GET /v1/audits/head`. For auditors only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from shell.access.auth import Caller, require_only
from shell.access.scopes import scope_of
from shell.audit import audits, log
from shell.audit.sealing import load_newest
from shell.http.answers import Limit
from shell.http.params import ONE_LINE, Instant
from shell.store.database import Database

router = APIRouter(tags=["audits"])
Auditor = Annotated[Caller, Depends(require_only("auditor"))]
PERSON_IDS_MAX: Final = 100


def _database(request: Request) -> Database:
    found: Database = request.app.state.service.database
    return found


Db = Annotated[Database, Depends(_database)]


class AuditOut(BaseModel):
    """`actor`: the human, with the `account`, role and area (`division`) of the token; `account` is empty in old rows.
    `persons`: the number of persons. `fields`: the fields of the vault that were revealed; `row` for a download of
    rejected rows. `sealed_in`: the number of the seal; null in the first seconds."""

    audit_id: str
    at: datetime
    actor: str
    account: str
    role: str
    division: str | None
    act: str
    purpose: str
    cause: str
    fields: list[str]
    persons: int
    person_ids: list[str] = Field(max_length=PERSON_IDS_MAX, description="the first hundred")
    sealed_in: str | None


class AuditPageOut(BaseModel):
    audits: list[AuditOut] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page")


class AuditHeadOut(BaseModel):
    """The newest seal of the hash chain. `rows`: the number of rows sealed so far. `head`: SHA-256, in hexadecimal;
    empty before the first seal. `waiting`: the number of rows that wait for a seal."""

    service: str
    seal: int
    rows: int
    head: str
    sealed_at: datetime | None
    waiting: int


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
    wanted = log.Wanted(scope_of(caller), person, actor, since, until, after)
    async with db.transaction() as tx:
        rows = await log.list_audits(tx.sql, wanted, limit)
        seals = await log.load_seals(tx.sql, [row.audit_id for row in rows])
        await audits.append(tx, caller, act="read_audits", purpose="audit", person_ids=[person] if person else [])
    page = [_shown(row, seals.get(row.audit_id)) for row in rows]
    return AuditPageOut(audits=page, next=_next(page, limit))


@router.get("/v1/audits/head", summary="Show the newest seal of the audit log")
async def show_head(caller: Auditor, db: Db) -> AuditHeadOut:
    """The same head is on the topic `<service>.audit`, outside the database. `shouwang audit verify` compares them."""
    async with db.reading() as connection:
        seal = await load_newest(connection)
        waiting = await connection.fetchval("SELECT count(*) FROM audit_queue")
    if seal is None:
        return AuditHeadOut(service=db.schema, seal=0, rows=0, head="", sealed_at=None, waiting=waiting)
    return AuditHeadOut(
        service=db.schema,
        seal=seal.seal,
        rows=seal.rows,
        head=seal.head.hex(),
        sealed_at=seal.sealed_at,
        waiting=waiting,
    )


def _next(page: Sequence[AuditOut], limit: int) -> str | None:
    """Return the cursor of the next page; None if this page is not full and therefore the last one."""
    return page[-1].audit_id if len(page) == limit else None


def _shown(row: log.Audit, seal: int | None) -> AuditOut:
    persons = row.persons
    return AuditOut(
        audit_id=str(row.audit_id),
        at=row.at,
        actor=row.actor,
        account=row.account,
        role=row.role,
        division=row.division,
        act=row.action,
        purpose=row.purpose,
        cause=row.cause,
        fields=row.revealed,
        persons=len(persons),
        person_ids=persons[:PERSON_IDS_MAX],
        sealed_in=None if seal is None else str(seal),
    )
