"""`GET /v1/unverified`: counts of Kafka records whose sender is unknown; and the job that deletes old counts."""

from datetime import date, timedelta
from typing import Annotated, Final

from common.errors import Malformed, NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller
from shell.access.scopes import Everything, scope_of
from shell.http.answers import Limit
from shell.http.params import Cursor, Day
from shell.service import Db
from shell.store.database import Database

from ingestion.channels import store
from ingestion.channels.kafka_senders import UNKNOWN
from ingestion.channels.unverified_records import DAYS_KEPT
from ingestion.register import sources
from ingestion.register.senders import sender

router = APIRouter(tags=["sources"])
FORGET_MAX: Final = 1_000


class UnverifiedOut(BaseModel):
    """Records of one day, topic, named source and reason. `source`: the registered source that the records name, or
    `unknown`; perhaps another sender used its name. `reason`: a code of the published list `unverified`. `parked`: how
    many of the records are kept."""

    day: date
    topic: str
    source: str
    reason: str
    records: int
    parked: int


class UnverifiedPageOut(BaseModel):
    counts: list[UnverifiedOut]
    next: str | None


@router.get("/v1/unverified", summary="Count Kafka records whose sender is unknown")
async def list_unverified(
    caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))],
    db: Db,
    since: Day | None = None,
    until: Day | None = None,
    limit: Limit = 100,
    after: Cursor | None = None,
) -> UnverifiedPageOut:
    """Counts for the days on which the platform read the records. Without `until`, the period ends today. Without
    `since`, the period is its last day alone. These records count for no source. A source sees the counts under its own
    name. Officers and auditors see the counts of the sources in their area; those of the nation also see records that
    name no registered source."""
    first, last = _period(since, until)
    await sources.refresh(db)
    cursor = _cursor(after)
    async with db.reading() as connection:
        rows = await store.list_counts(connection, _seen(caller), first, last, cursor, limit)
    counts = [UnverifiedOut(**row._asdict()) for row in rows]
    return UnverifiedPageOut(counts=counts, next=_next(rows[-1]) if len(rows) == limit else None)


async def forget_unverified(database: Database) -> int:
    """Job: delete at most FORGET_MAX counts that are older than DAYS_KEPT days; returns how many."""
    async with database.transaction() as tx:
        return await store.delete_before(tx, clock.today() - timedelta(days=DAYS_KEPT), FORGET_MAX)


def _period(since: date | None, until: date | None) -> tuple[date, date]:
    """The first and the last day. Raises Malformed if they are in the wrong order."""
    first = since or until or clock.today()
    last = until or max(first, clock.today())
    if last < first:
        raise Malformed("`until` lies before `since`", code="period")
    return first, last


def _seen(caller: Caller) -> list[str]:
    """The named sources whose counts the caller may see."""
    seen = list(sources.versions_seen(caller))
    return [*seen, UNKNOWN] if isinstance(scope_of(caller), Everything) else seen


def _cursor(after: str | None) -> store.Key | None:
    """Read the cursor that this route returned as `next`; None for the first page. Raises NotFound for other text."""
    if after is None:
        return None
    try:
        day, topic, source, reason = after.split(" ")
        return store.Key(date.fromisoformat(day), topic, source, reason)
    except ValueError:
        raise NotFound("no such page") from None


def _next(last: store.Count) -> str:
    return f"{last.day} {last.topic} {last.source} {last.reason}"
