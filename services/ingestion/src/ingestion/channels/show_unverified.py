"""`GET /v1/unverified`: records on Kafka whose sender is unknown; the job that forgets old counts."""

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


class UnverifiedCount(BaseModel):
    """`source`: the registered source that the records name, which need not have sent them; else `unknown`. `reason`: a
    code of the published list. `parked`: how many of them are kept."""

    day: date
    topic: str
    source: str
    reason: str
    records: int
    parked: int


class UnverifiedPage(BaseModel):
    counts: list[UnverifiedCount]
    next: str | None


@router.get("/v1/unverified", summary="Records on Kafka whose sender is unknown")
async def list_unverified(
    caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))],
    db: Db,
    since: Day | None = None,
    until: Day | None = None,
    limit: Limit = 100,
    after: Cursor | None = None,
) -> UnverifiedPage:
    """By the day on which they were read, today without one. They count for no source. A source sees the counts of its
    own name, officers those of the sources of their area, officers of the nation also those that name no source."""
    first = since or until or clock.today()
    last = until or max(first, clock.today())
    if last < first:
        raise Malformed("`until` lies before `since`", code="period")
    await sources.refresh(db)
    cursor = _cursor(after)
    async with db.reading() as connection:
        rows = await store.list_counts(connection, _seen(caller), first, last, cursor, limit)
    page = [UnverifiedCount(**dict(row)) for row in rows]
    following = None
    if len(page) == limit:
        end = page[-1]
        following = f"{end.day} {end.topic} {end.source} {end.reason}"
    return UnverifiedPage(counts=page, next=following)


def _seen(caller: Caller) -> list[str]:
    seen = list(sources.versions_seen(caller))
    return [*seen, UNKNOWN] if isinstance(scope_of(caller), Everything) else seen


def _cursor(after: str | None) -> store.Key | None:
    if after is None:
        return None
    try:
        day, topic, source, reason = after.split(" ")
        return date.fromisoformat(day), topic, source, reason
    except ValueError:
        raise NotFound("no such page") from None


async def forget_unverified(database: Database) -> int:
    """Job: delete counts that are older than DAYS_KEPT; returns how many."""
    async with database.transaction() as tx:
        return await store.delete_before(tx, clock.today() - timedelta(days=DAYS_KEPT), FORGET_MAX)
