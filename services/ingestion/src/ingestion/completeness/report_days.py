"""Routes for a source's report of its day, and for its comparison with the events that arrived.

`POST /v1/sources/{source}/days`, `GET …/days`, `GET …/completeness?day=`.
"""

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


class DayReportIn(Body):
    """The events that a source recorded on a day (of `time`, in Asia/Shanghai). `digest`: the XOR of the SHA-256 of
    their ids, as 64 hex digits; the order does not matter."""

    day: Day
    count: int = Field(ge=0, le=100_000_000)
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class AnnouncedOut(BaseModel):
    count: int
    digest: str
    told_at: datetime


class CompletenessOut(BaseModel):
    """`received`: the number of events that arrived = `applied` + `quarantined` + `parked`; `kinds`: the same by kind.
    `parked`: events that officers have discarded or the source has withdrawn. `rejected`: further events, which were
    rejected. `announced`: the source's report. `state`: `short` (fewer events arrived than reported), `over` (more),
    `differs` (the same number, but other events), `complete`, `not_reported`. `complete` is null without a report.
    `digest` is null for days counted before digests were kept. `gap_since`: the start of the open alarm about this
    day."""

    source: str
    day: date
    received: int
    kinds: dict[str, int]
    applied: int
    quarantined: int
    parked: int
    rejected: int
    digest: str | None
    announced: AnnouncedOut | None
    state: State
    complete: bool | None
    gap_since: datetime | None


class DayOut(BaseModel):
    """`received`: number of events that arrived; `told`: number that the source reported. `gap_since`: the start of the
    open alarm about this day."""

    day: date
    received: int
    told: int | None
    state: State
    gap_since: datetime | None


class DaysOut(BaseModel):
    """Days with an event, a report or an expected report."""

    source: str
    days: list[DayOut]


@router.post("/v1/sources/{source}/days", status_code=201, summary="Report the number of events of a day")
async def report_day(
    source: Urn,
    body: DayReportIn,
    caller: Annotated[Caller, Depends(sender("source", once=True))],
    db: Db,
    creation: Creates,
) -> CompletenessOut:
    """A later report of the same day replaces this one. A report that is repeated with its `Idempotency-Key` changes
    nothing, also after a later report."""
    found = _own_source(source, caller)
    async with db.transaction() as tx:
        if await creation.claim(tx, caller, body) is None:
            await days.upsert_report(tx, found.urn, body.day, ReportedDay(body.count, body.digest), clock.now())
            await creation.created(tx, caller, f"{found.urn}/{body.day}")
    return await _read_completeness(db, found, body.day)


@router.get("/v1/sources/{source}/completeness", summary="Compare the events of a day with the source's report")
async def get_completeness(source: Urn, day: Day, caller: Reporter, db: Db) -> CompletenessOut:
    return await _read_completeness(db, _own_source(source, caller), day)


@router.get("/v1/sources/{source}/days", summary="List the completeness of a source's days")
async def list_days(source: Urn, since: Day, until: Day, caller: Reporter, db: Db) -> DaysOut:
    """From `since` to `until`, both included, at most 92 days. Events of the last seconds may be missing."""
    found = _own_source(source, caller)
    _need_range(since, until)
    async with db.reading() as connection:
        reports = await days.list_reported(connection, found.urn, since, until)
        tallies = await days.list_counts(connection, found.urn, since, until)
    return DaysOut(source=found.urn, days=_days(reports, _by_day(tallies)))


def _days(reports: dict[date, days.Reported], tallies: dict[date, list[Tally]]) -> list[DayOut]:
    """Every day with an event, a report or an expected report, in order."""
    lines = []
    for day in sorted({*reports, *tallies}):
        report = reports.get(day, days.NOTHING_REPORTED)
        lines.append(_day(day, report, tallies.get(day, [])))
    return lines


def _need_range(since: date, until: date) -> None:
    if not 0 <= (until - since).days < RANGE_DAYS_MAX:
        raise Malformed(f"between 1 and {RANGE_DAYS_MAX} days", code="date_range")


def _by_day(tallies: list[Tally]) -> dict[date, list[Tally]]:
    found: dict[date, list[Tally]] = {}
    for tally in tallies:
        found.setdefault(tally.day, []).append(tally)
    return found


def _day(day: date, report: days.Reported, tallies: list[Tally]) -> DayOut:
    reported, ours = report.reported, whole_day(tallies)
    return DayOut(
        day=day,
        received=ours.events,
        told=reported.events if reported else None,
        state=compare(reported, ours),
        gap_since=report.gap_since,
    )


def _own_source(urn: str, caller: Caller) -> Source:
    """Return a registered source. Raises NotAllowed for a source outside the caller's scope, NotFound for an unknown
    one."""
    source = registered().get(urn)
    need_source(caller, urn, source.area if source else None)
    if source is None:
        raise NotFound("no such source")
    return source


async def _read_completeness(db: Db, source: Source, day: date) -> CompletenessOut:
    async with db.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await _completeness(connection, source.urn, day)


async def _completeness(connection: Any, urn: str, day: date) -> CompletenessOut:
    tallies = await days.load_day(connection, urn, day)
    unsettled = await days.count_unsettled(connection, urn, day)
    report = await days.load_reported(connection, urn, day) or days.NOTHING_REPORTED
    rejected = await days.count_rejected(connection, urn, day)
    announced, ours = _announced(report), whole_day(tallies)
    state = compare(report.reported, ours)
    return CompletenessOut(
        source=urn,
        day=day,
        received=ours.events,
        kinds=_by_kind(tallies),
        applied=ours.events - unsettled.total,
        quarantined=unsettled.waiting,
        parked=unsettled.closed,
        rejected=rejected,
        digest=ours.digest,
        announced=announced,
        state=state,
        complete=None if announced is None else state == "complete",
        gap_since=report.gap_since,
    )


def _by_kind(tallies: list[Tally]) -> dict[str, int]:
    return {tally.kind: tally.events for tally in sorted(tallies, key=lambda tally: tally.kind)}


def _announced(report: days.Reported) -> AnnouncedOut | None:
    reported = report.reported
    if reported is None or report.told_at is None:
        return None
    return AnnouncedOut(count=reported.events, digest=reported.digest, told_at=report.told_at)
