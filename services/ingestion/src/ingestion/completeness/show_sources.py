"""The register of sources and how they do: `GET /v1/sources`, `GET /v1/sources/{source}`, `GET /v1/gaps`."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from common.errors import NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.kafka.topics import inbound_topic
from shell.service import Db

from ingestion.completeness.store import alarms
from ingestion.register import quotas, sources
from ingestion.register.senders import sender
from ingestion.register.shapes import Entry
from ingestion.register.sources import Urn
from ingestion.register.store import registry, topics

router = APIRouter(tags=["sources"])
HISTORY_MAX: Final = 100


class Heard(BaseModel):
    """When a kind last came; `silent_since`: it should have come again long ago."""

    heard_at: datetime | None
    silent_since: datetime | None


class RegisteredSource(BaseModel):
    """`kinds`: what it may say, and how far it is believed there (1 is the strongest). `gaps`: days not complete."""

    source: str
    name: str
    area: str
    kinds: dict[str, int]
    active: bool
    heard: dict[str, Heard]
    gaps: int


class SourceList(BaseModel):
    sources: list[RegisteredSource]


class Decided(BaseModel):
    version: int
    since: datetime
    decided_by: str
    reason: str


class QuotaLeft(BaseModel):
    """Events that may still come; below zero they are owed."""

    minute: int
    day: int


class OwnTopic(BaseModel):
    """The source's own Kafka topic. `state`: records are read once it is `open`; while it is `waiting`, the platform
    tries again at `try_at`, and `problem` says why it could not be created."""

    name: str
    state: Literal["waiting", "open"]
    opened_at: datetime | None = None
    tries: int = 0
    try_at: datetime | None = None
    problem: str | None = None


class SourceDetail(RegisteredSource):
    """`version` 0: the seed, before anybody entered it. `history`: the newest first. `topic`: with `kafka` only."""

    version: int
    since: datetime | None
    entry: Entry
    history: list[Decided]
    quota_left: QuotaLeft | None
    topic: OwnTopic | None


class Gap(BaseModel):
    source: str
    day: date
    state: str
    ours: int
    told: int | None
    since: datetime


class GapPage(BaseModel):
    gaps: list[Gap]
    next: str | None


@router.get("/v1/sources", summary="Registered sources and when they were last heard")
async def list_sources(
    caller: Annotated[Caller, Depends(sender("source", "officer", "approver", "auditor"))], db: Db
) -> SourceList:
    """Those of your area; a source sees itself only."""
    await sources.look(db)
    async with db.reading() as connection:
        heard, gaps = _by_source(await alarms.load_heard(connection)), await alarms.count_gaps(connection)
    return SourceList(
        sources=[
            RegisteredSource(**_shown(urn, version.entry, heard, gaps))
            for urn, version in sources.versions_seen(caller).items()
        ]
    )


@router.get("/v1/sources/{source}", summary="One source: its entry in the register and how it came to be")
async def get_source(
    source: Urn, caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))], db: Db
) -> SourceDetail:
    """Keys are public keys."""
    await sources.look(db)
    version = sources.versions().get(source)
    sources.need_source(caller, source, version.entry.area if version else None)
    if version is None:
        raise NotFound("no such source")
    async with db.reading() as connection:
        heard, gaps = _by_source(await alarms.load_heard(connection)), await alarms.count_gaps(connection)
        history = await registry.list_versions(connection, source, HISTORY_MAX)
        topic = await topics.load_topic(connection, source)
    left = await quotas.what_is_left(db, source)
    return SourceDetail(
        **_shown(source, version.entry, heard, gaps),
        version=version.version,
        since=version.since,
        entry=version.entry,
        quota_left=QuotaLeft(minute=int(left.minute_left), day=int(left.day_left)) if left else None,
        topic=_topic(source, topic) if version.entry.kafka else None,
        history=[Decided(**dict(row)) for row in history],
    )


@router.get("/v1/gaps", summary="Days of sources that are not complete")
async def list_gaps(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    limit: Limit = 100,
    after: Cursor | None = None,
) -> GapPage:
    """Of your area, by source and day."""
    seen = list(sources.versions_seen(caller))
    cursor = _cursor(after)
    async with db.reading() as connection:
        rows = await alarms.list_gaps(connection, seen, cursor, limit)
    page = [Gap(**dict(row)) for row in rows]
    following = f"{page[-1].source} {page[-1].day}" if len(page) == limit else None
    return GapPage(gaps=page, next=following)


def _topic(source: str, row: Any) -> OwnTopic:
    name = inbound_topic(source)
    if row is None:
        return OwnTopic(name=name, state="waiting")
    is_open = row["opened_at"] is not None
    return OwnTopic(
        name=name,
        state="open" if is_open else "waiting",
        opened_at=row["opened_at"],
        tries=row["tries"],
        try_at=None if is_open else row["try_at"],
        problem=row["problem"],
    )


def _cursor(after: str | None) -> tuple[str, date] | None:
    if after is None:
        return None
    source, _, day = after.rpartition(" ")
    try:
        return source, date.fromisoformat(day)
    except ValueError:
        raise NotFound("no such page") from None


def _by_source(rows: list[Any]) -> dict[str, dict[str, Heard]]:
    found: dict[str, dict[str, Heard]] = {}
    for row in rows:
        heard = Heard(heard_at=row["heard_at"], silent_since=row["silent_since"])
        found.setdefault(row["source"], {})[row["kind"]] = heard
    return found


def _shown(urn: str, entry: Entry, heard: dict[str, dict[str, Heard]], gaps: dict[str, int]) -> dict[str, Any]:
    return {
        "source": urn,
        "name": entry.name,
        "area": entry.area,
        "kinds": entry.kinds,
        "active": entry.active,
        "heard": heard.get(urn, {}),
        "gaps": gaps.get(urn, 0),
    }
