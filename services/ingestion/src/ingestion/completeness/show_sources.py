"""The register of sources and their state: `GET /v1/sources`, `GET /v1/sources/{source}`, `GET /v1/gaps`."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final

from common.errors import NotFound
from fastapi import APIRouter, Depends
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.kafka.topics import inbound_topic
from shell.service import Db

from ingestion.completeness.shapes import (
    DecisionOut,
    GapOut,
    GapPageOut,
    HeardOut,
    QuotaLeftOut,
    SourceDetailOut,
    SourceListOut,
    SourceOut,
    TopicOut,
)
from ingestion.completeness.store import alarms
from ingestion.register import quotas, sources
from ingestion.register.domain import Bucket
from ingestion.register.senders import sender
from ingestion.register.shapes import Entry
from ingestion.register.sources import Urn
from ingestion.register.store import registry, topics

router = APIRouter(tags=["sources"])
HISTORY_MAX: Final = 100


class _State:
    """The last arrivals and the number of gaps of each source."""

    def __init__(self, arrivals: list[alarms.Arrival], gaps: dict[str, int]) -> None:
        self.gaps = gaps
        self.heard: dict[str, dict[str, HeardOut]] = {}
        for row in arrivals:
            self.heard.setdefault(row.source, {})[row.kind] = _heard(row)

    def of(self, urn: str, entry: Entry) -> SourceOut:
        return SourceOut(
            source=urn,
            name=entry.name,
            area=entry.area,
            kinds={str(kind): rank for kind, rank in entry.kinds.items()},
            active=entry.active,
            heard=self.heard.get(urn, {}),
            gaps=self.gaps.get(urn, 0),
        )


def _heard(row: alarms.Arrival) -> HeardOut:
    return HeardOut(heard_at=row.heard_at, silent_since=row.silent_since)


async def _load_state(connection: Any) -> _State:
    return _State(await alarms.list_arrivals(connection), await alarms.count_gaps(connection))


@router.get("/v1/sources", summary="List registered sources with their last arrivals")
async def list_sources(
    caller: Annotated[Caller, Depends(sender("source", "officer", "approver", "auditor"))], db: Db
) -> SourceListOut:
    """The sources of your area; a source sees itself only."""
    await sources.refresh(db)
    async with db.reading() as connection:
        state = await _load_state(connection)
    seen = sources.versions_seen(caller)
    return SourceListOut(sources=[state.of(urn, version.entry) for urn, version in seen.items()])


@router.get("/v1/sources/{source}", summary="Show a source: its entry in force, history, quota and topic")
async def get_source(
    source: Urn, caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))], db: Db
) -> SourceDetailOut:
    """The keys in `entry` are public keys."""
    await sources.refresh(db)
    version = _find(caller, source)
    async with db.reading() as connection:
        state = await _load_state(connection)
        history = await registry.list_versions(connection, source, HISTORY_MAX)
        topic = await topics.load_topic(connection, source)
    return SourceDetailOut(
        **dict(state.of(source, version.entry)),
        version=version.version,
        since=version.since,
        entry=version.entry,
        quota_left=_quota_left(await quotas.load_left(db, source)),
        topic=_topic(source, topic) if version.entry.kafka else None,
        history=_history(history),
    )


@router.get("/v1/gaps", summary="List incomplete days of sources")
async def list_gaps(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    limit: Limit = 100,
    after: Cursor | None = None,
) -> GapPageOut:
    """Gaps of the sources of your area, by source and day."""
    await sources.refresh(db)
    seen = list(sources.versions_seen(caller))
    cursor = _cursor(after)
    async with db.reading() as connection:
        rows = await alarms.list_gaps(connection, seen, cursor, limit)
    gaps = [GapOut(**row._asdict()) for row in rows]
    return GapPageOut(gaps=gaps, next=_next(gaps, limit))


def _find(caller: Caller, source: str) -> sources.Version:
    """The entry of a source that is in force.

    Raises NotAllowed outside the caller's scope. An unknown source is in no area, so only a caller for all areas, or
    the source itself, gets NotFound."""
    version = sources.versions().get(source)
    sources.need_source(caller, source, version.entry.area if version else None)
    if version is None:
        raise NotFound("no such source")
    return version


def _quota_left(left: Bucket | None) -> QuotaLeftOut | None:
    if left is None:
        return None
    return QuotaLeftOut(minute=int(left.minute_left), day=int(left.day_left))


def _topic(source: str, topic: topics.Topic | None) -> TopicOut:
    name = inbound_topic(source)
    if topic is None:
        return TopicOut(name=name, state="waiting")
    is_open = topic.opened_at is not None
    return TopicOut(
        name=name,
        state="open" if is_open else "waiting",
        opened_at=topic.opened_at,
        tries=topic.tries,
        try_at=None if is_open else topic.try_at,
        problem=topic.problem,
    )


def _next(page: list[GapOut], limit: int) -> str | None:
    """Return the cursor of the next page; None if this page is not full and therefore the last one."""
    return f"{page[-1].source} {page[-1].day}" if len(page) == limit else None


def _history(rows: Sequence[registry.Decision]) -> list[DecisionOut]:
    return [DecisionOut(**row._asdict()) for row in rows]


def _cursor(after: str | None) -> alarms.SourceDay | None:
    """Read the cursor that this route returned as `next`; None for the first page. Raises NotFound for other text."""
    if after is None:
        return None
    source, _, day = after.rpartition(" ")
    try:
        return source, date.fromisoformat(day)
    except ValueError:
        raise NotFound("no such page") from None
