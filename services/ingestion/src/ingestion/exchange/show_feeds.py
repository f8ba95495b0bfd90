"""`GET /v1/feeds`, `GET /v1/feeds/{feed}`, its runs, and the rows that are refused, as a file of the table's shape."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Sequence
from shell.service import Db
from shell.store.database import Database

from ingestion.audits import store as audits
from ingestion.exchange.feeds import configured
from ingestion.exchange.places import opened
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.views import Feed, FeedRun, find, may_see, shown, shown_run
from ingestion.files.rejects import Kept, Problems, as_csv, read_kept

router = APIRouter(tags=["feeds"])
PAGE: Final = 500
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
FeedName = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,40}$", examples=["qujing_disability"])]
Reader = Annotated[Caller, Depends(require("source", "officer", "auditor"))]


class FaultyPlace(BaseModel):
    pointer: str
    code: str
    detail: str


class FaultyFile(BaseModel):
    """A file of the folder that is no feed, and why."""

    file: str
    problems: list[FaultyPlace]


class FeedList(BaseModel):
    feeds: list[Feed]
    faulty: list[FaultyFile]


class FeedRunPage(BaseModel):
    runs: list[FeedRun]
    next: int | None


@router.get("/v1/feeds", summary="Front-end tables and how they stand")
async def list_feeds(caller: Reader, db: Db) -> FeedList:
    """Of yourself as a source, of your area as an officer. Files that are no feeds are shown to the administrator."""
    all_ = configured()
    setups = [setup for setup in all_.setups.values() if may_see(setup, caller)]
    names = [setup.feed.feed for setup in setups]
    async with db.reading() as connection:
        rows = await store.load_feeds(connection, names)
        runs = await store.load_newest_runs(connection, names)
        rejects = await feed_rows.count_rejects(connection, names)
    feeds = [shown(s, rows.get(n), runs.get(n), rejects.get(n, 0)) for n, s in zip(names, setups, strict=True)]
    faulty = [
        FaultyFile(file=file, problems=[FaultyPlace(pointer=p.pointer, code=p.code, detail=p.detail) for p in problems])
        for file, problems in all_.faulty.items()
        if caller.role == "admin"
    ]
    return FeedList(feeds=feeds, faulty=faulty)


@router.get("/v1/feeds/{feed}", summary="How a front-end table stands")
async def show_feed(feed: FeedName, caller: Reader, db: Db) -> Feed:
    setup = find(feed, caller)
    async with db.reading() as connection:
        row = await store.load_feed(connection, feed)
        run = await store.load_run(connection, feed, row["run"]) if row else None
        rejects = await feed_rows.count_rejects(connection, [feed])
    return shown(setup, row, run, rejects.get(feed, 0))


@router.get("/v1/feeds/{feed}/runs", summary="Readings of a front-end table, newest first")
async def list_runs(
    feed: FeedName, caller: Reader, db: Db, limit: Limit = 100, after: Sequence | None = None
) -> FeedRunPage:
    """Of readings that brought nothing only the last is kept. `after`: the number of the last run you have."""
    find(feed, caller)
    async with db.reading() as connection:
        rows = await store.list_runs(connection, feed, after, limit)
    page = [shown_run(row) for row in rows]
    return FeedRunPage(runs=page, next=page[-1].run if len(page) == limit else None)


@router.get(
    "/v1/feeds/{feed}/rejects",
    summary="The rows that are refused as they stand now, with their reasons",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": _BINARY}}},
)
async def list_feed_rejects(
    feed: FeedName, caller: Annotated[Caller, Depends(require("source", "officer"))], db: Db
) -> StreamingResponse:
    """Audited. CSV (UTF-8) with the columns that are read, and 行号, 原因, 原因代码, as of files. A row leaves the list
    when it is corrected in the table and read again."""
    find(feed, caller)
    async with db.transaction() as tx:
        row = await store.load_feed(tx.sql, feed)
        await audits.append_audit(
            tx, caller, clock.real_now(), action="feed_rejects", purpose="correct", cause=feed, fields=["row"]
        )
    headers = [list(opened(row["headers"], f"feed/{feed}/headers"))] if row else []
    return StreamingResponse(
        as_csv(_pages(db, feed), headers),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="rejects-{feed}.csv"', "cache-control": "no-store"},
    )


async def _pages(db: Database, feed: str) -> AsyncIterator[list[tuple[Kept, Problems]]]:
    after = b""
    while True:
        async with db.reading() as connection:
            rows = await feed_rows.list_rejects(connection, feed, after, PAGE)
        if rows:
            yield [read_kept(r["problems"], r["sealed"], f"feed/{feed}/{r['row_key'].hex()}") for r in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1]["row_key"]
