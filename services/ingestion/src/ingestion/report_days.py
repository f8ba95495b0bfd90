"""Sources and their completeness: `GET /v1/sources`, `…/completeness?day=`, `POST …/days`."""

import asyncio
import hashlib
from datetime import date, datetime
from typing import Annotated, Any, Final

from common import clock
from common.auth import AnyCaller, Caller, require
from common.errors import NotAllowed, NotFound
from common.privacy import vault
from common.service import Db
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from ingestion.domain.pushed import Source
from ingestion.reading import reopen
from ingestion.sources import registered
from ingestion.store import review

router = APIRouter(tags=["sources"])
DIGEST_EVENTS_MAX: Final = 200_000
PAGE: Final = 1_000
Urn = Annotated[str, Path(max_length=128, examples=["urn:cn:exchange:530300:psb"])]
Reporter = Annotated[Caller, Depends(require("source", "officer", "auditor"))]


class RegisteredSource(BaseModel):
    """`kinds`: what it may say, and how far it is believed there (1 is the strongest)."""

    source: str
    name: str
    area: str
    kinds: dict[str, int]


class SourceList(BaseModel):
    sources: list[RegisteredSource]


class DayReport(BaseModel):
    """What a source says it recorded on a day (of `time`, in Asia/Shanghai): how many events, and the XOR of the
    SHA-256 of their ids, as 64 hex digits, so that the order does not matter."""

    day: date
    count: int = Field(ge=0, le=100_000_000)
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class Announced(BaseModel):
    count: int
    digest: str
    told_at: datetime


class Completeness(BaseModel):
    """`received` = `applied` + `quarantined` + `parked`. `complete` is null until the source has told its count.
    `digest` is null above 200,000 events."""

    source: str
    day: date
    received: int
    applied: int
    quarantined: int
    parked: int
    rejected: int
    digest: str | None
    announced: Announced | None
    complete: bool | None


@router.get("/v1/sources", summary="Registered sources")
async def list_sources(caller: AnyCaller) -> SourceList:
    """All of them; a source sees itself only."""
    shown = [s for s in registered().values() if caller.role != "source" or s.urn == caller.source]
    return SourceList(sources=[RegisteredSource(source=s.urn, name=s.name, area=s.area, kinds=s.ranks) for s in shown])


@router.post("/v1/sources/{source}/days", status_code=201, summary="Tell how much was sent on a day")
async def report_day(
    source: Urn, body: DayReport, caller: Annotated[Caller, Depends(require("source"))], db: Db
) -> Completeness:
    """Told again, the last word counts."""
    found = _mine(source, caller)
    async with db.transaction() as tx:
        await review.upsert_source_day(tx, found.urn, body.day, body.count, body.digest, clock.now())
        return await _completeness(tx.sql, found, body.day)


@router.get("/v1/sources/{source}/completeness", summary="What arrived of a day against what was sent")
async def get_completeness(source: Urn, day: date, caller: Reporter, db: Db) -> Completeness:
    found = _mine(source, caller)
    async with db.reading() as connection:
        return await _completeness(connection, found, day)


def _mine(urn: str, caller: Caller) -> Source:
    source = registered().get(urn)
    if caller.role == "source" and caller.source != urn:
        raise NotAllowed("your token speaks for another source")
    if source is None:
        raise NotFound("no such source")
    if caller.role != "source":
        caller.need_area(source.area)
    return source


async def _completeness(connection: Any, source: Source, day: date) -> Completeness:
    counts = await review.count_received(connection, source.urn, day)
    told = await review.load_source_day(connection, source.urn, day)
    received = sum(counts.values())
    digest = await _digest(connection, source.urn, day) if received <= DIGEST_EVENTS_MAX else None
    complete = None
    if told is not None:
        complete = told["count"] == received and digest in (None, told["digest"])
    return Completeness(
        source=source.urn,
        day=day,
        received=received,
        applied=counts.get("applied", 0),
        quarantined=counts.get("quarantined", 0),
        parked=counts.get("parked", 0),
        rejected=await review.count_rejected(connection, source.urn, day),
        digest=digest,
        announced=Announced(**dict(told)) if told is not None else None,
        complete=complete,
    )


async def _digest(connection: Any, source: str, day: date) -> str:
    total, after = 0, None
    while True:
        rows = await review.list_sealed_of_day(connection, source, day, after, PAGE)
        for row in rows:
            id_ = reopen(vault().open(row["sealed"], row["event_id"].encode())).id
            total ^= int.from_bytes(hashlib.sha256(id_.encode()).digest(), "big")
        if len(rows) < PAGE:
            return f"{total:064x}"
        after = rows[-1]["event_id"]
        await asyncio.sleep(0)
