"""How much a source sent on a day: `POST /v1/sources/{source}/days`, `GET …/days`, `GET …/completeness?day=`."""

from datetime import date, datetime
from typing import Annotated, Any, Final

from common.errors import Malformed, NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller
from shell.http.idempotency import Creates
from shell.http.params import Body, Day
from shell.service import Db

from ingestion.completeness.store import days
from ingestion.domain.completeness import ReportedDay, State, Tally, compare, whole_day
from ingestion.domain.pushed import Source
from ingestion.register.senders import sender
from ingestion.register.sources import Urn, need_source, registered

router = APIRouter(tags=["sources"])
RANGE_DAYS_MAX: Final = 92
Reporter = Annotated[Caller, Depends(sender("source", "officer", "auditor"))]


class DayReport(Body):
    """What a source says it recorded on a day (of `time`, in Asia/Shanghai): how many events, and the XOR of the
    SHA-256 of their ids, as 64 hex digits, so that the order does not matter."""

    day: Day
    count: int = Field(ge=0, le=100_000_000)
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class Announced(BaseModel):
    count: int
    digest: str
    told_at: datetime


class Completeness(BaseModel):
    """`received` = `applied` + `quarantined` + `parked`, and by kind. `state`: `short` (fewer here than told), `over`,
    `differs` (as many, but not the same), `complete`, `not_reported`; `complete` is null until the source has told
    its count. `digest` is null for days counted before digests were kept. `gap_since`: the alarm that is open."""

    source: str
    day: date
    received: int
    kinds: dict[str, int]
    applied: int
    quarantined: int
    parked: int
    rejected: int
    digest: str | None
    announced: Announced | None
    state: State
    complete: bool | None
    gap_since: datetime | None


class DayLine(BaseModel):
    day: date
    received: int
    told: int | None
    state: State
    gap_since: datetime | None


class DayLines(BaseModel):
    """Days on which something came, was told or was expected."""

    source: str
    days: list[DayLine]


@router.post("/v1/sources/{source}/days", status_code=201, summary="Tell how much was sent on a day")
async def report_day(
    source: Urn,
    body: DayReport,
    caller: Annotated[Caller, Depends(sender("source", once=True))],
    db: Db,
    creation: Creates,
) -> Completeness:
    """A later report of the same day replaces this one. The same `Idempotency-Key` is one report: sent again after a
    later one, it changes nothing."""
    found = _mine(source, caller)
    async with db.transaction() as tx:
        if await creation.claim(tx, caller, body) is None:
            await days.upsert_told(tx, found.urn, body.day, ReportedDay(body.count, body.digest), clock.now())
            await creation.created(tx, caller, f"{found.urn}/{body.day}")
    return await _look(db, found, body.day)


@router.get("/v1/sources/{source}/completeness", summary="What arrived of a day against what was sent")
async def get_completeness(source: Urn, day: Day, caller: Reporter, db: Db) -> Completeness:
    return await _look(db, _mine(source, caller), day)


@router.get("/v1/sources/{source}/days", summary="How complete the days of a source are")
async def list_days(source: Urn, since: Day, until: Day, caller: Reporter, db: Db) -> DayLines:
    """From `since` to `until`, both included, at most 92 days. What came in the last seconds may be missing."""
    found = _mine(source, caller)
    if not 0 <= (until - since).days < RANGE_DAYS_MAX:
        raise Malformed(f"between 1 and {RANGE_DAYS_MAX} days", code="date_range")
    async with db.reading() as connection:
        rows = {row["day"]: row for row in await days.list_days(connection, found.urn, since, until)}
        counts: dict[date, list[Tally]] = {}
        for tally in await days.list_counts(connection, found.urn, since, until):
            counts.setdefault(tally.day, []).append(tally)
    lines = [_line(day, rows.get(day), counts.get(day, [])) for day in sorted({*rows, *counts})]
    return DayLines(source=found.urn, days=lines)


def _line(day: date, row: Any, tallies: list[Tally]) -> DayLine:
    told = ReportedDay(row["count"], row["digest"]) if row is not None and row["count"] is not None else None
    ours = whole_day(tallies)
    return DayLine(
        day=day,
        received=ours.events,
        told=told.events if told else None,
        state=compare(told, ours),
        gap_since=row["gap_since"] if row is not None else None,
    )


def _mine(urn: str, caller: Caller) -> Source:
    source = registered().get(urn)
    need_source(caller, urn, source.area if source else None)
    if source is None:
        raise NotFound("no such source")
    return source


async def _look(db: Db, source: Source, day: date) -> Completeness:
    async with db.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await _completeness(connection, source, day)


async def _completeness(connection: Any, source: Source, day: date) -> Completeness:
    tallies = await days.load_day(connection, source.urn, day)
    unsettled = await days.count_unsettled(connection, source.urn, day)
    row = await days.load_told(connection, source.urn, day)
    told = ReportedDay(row["count"], row["digest"]) if row is not None and row["told_at"] is not None else None
    ours = whole_day(tallies)
    state = compare(told, ours)
    quarantined, parked = unsettled.get("open", 0), unsettled.get("discarded", 0)
    return Completeness(
        source=source.urn,
        day=day,
        received=ours.events,
        kinds={t.kind: t.events for t in sorted(tallies, key=lambda t: t.kind)},
        applied=ours.events - quarantined - parked,
        quarantined=quarantined,
        parked=parked,
        rejected=await days.count_rejected(connection, source.urn, day),
        digest=ours.digest,
        announced=Announced(count=told.events, digest=told.digest, told_at=row["told_at"]) if told else None,
        state=state,
        complete=None if told is None else state == "complete",
        gap_since=row["gap_since"] if row is not None else None,
    )
