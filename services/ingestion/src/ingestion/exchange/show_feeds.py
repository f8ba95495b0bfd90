"""`GET /v1/feeds`, `/v1/feeds/{feed}`, `/v1/feeds/{feed}/runs` and `/v1/feeds/{feed}/rejects`."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Sequence
from shell.service import Db
from shell.store.database import Database

from ingestion.exchange.feed_access import find_feed, may_see
from ingestion.exchange.feeds import Setup, configured
from ingestion.exchange.positions import opened
from ingestion.exchange.shapes import (
    FeedListOut,
    FeedName,
    FeedOut,
    FeedRunPageOut,
    faulty_out,
    feed_out,
    run_out,
)
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.store.feeds import StoredFeed
from ingestion.files.downloads import BINARY, csv_file
from ingestion.files.rejects import KeptReject, as_csv, open_reject

router = APIRouter(tags=["feeds"])
PAGE: Final = 500
Reader = Annotated[Caller, Depends(require("source", "officer", "auditor"))]


@router.get("/v1/feeds", summary="Front-end tables and their state")
async def list_feeds(caller: Reader, db: Db) -> FeedListOut:
    """A source sees its own feeds, an officer those of the area. Only an administrator sees files that are not valid
    feeds."""
    found = configured()
    setups = [setup for setup in found.setups.values() if may_see(setup, caller)]
    faulty = faulty_out(found.faulty) if caller.role == "admin" else []
    return FeedListOut(feeds=await _load_out(db, setups), faulty=faulty)


@router.get("/v1/feeds/{feed}", summary="The state of a front-end table")
async def show_feed(feed: FeedName, caller: Reader, db: Db) -> FeedOut:
    (shown,) = await _load_out(db, [find_feed(feed, caller)])
    return shown


async def _load_out(db: Database, setups: list[Setup]) -> list[FeedOut]:
    names = [setup.feed.feed for setup in setups]
    async with db.reading() as connection:
        stored = await store.load_feeds(connection, names)
        runs = await store.load_newest_runs(connection, names)
        rejects = await feed_rows.count_rejects(connection, names)
    return [
        feed_out(setup, stored.get(name), runs.get(name), rejects.get(name, 0))
        for name, setup in zip(names, setups, strict=True)
    ]


@router.get("/v1/feeds/{feed}/runs", summary="Runs through a front-end table, newest first")
async def list_runs(
    feed: FeedName, caller: Reader, db: Db, limit: Limit = 100, after: Sequence | None = None
) -> FeedRunPageOut:
    """Of the runs without any change only the last is kept. `after`: the number of the last run on the page before."""
    find_feed(feed, caller)
    async with db.reading() as connection:
        runs = await store.list_runs(connection, feed, after, limit)
    page = [run_out(run) for run in runs]
    return FeedRunPageOut(runs=page, next=page[-1].run if len(page) == limit else None)


@router.get(
    "/v1/feeds/{feed}/rejects",
    summary="The rows that are rejected at present, with their reasons",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": BINARY}}},
)
async def list_feed_rejects(
    feed: FeedName, caller: Annotated[Caller, Depends(require("source", "officer"))], db: Db
) -> StreamingResponse:
    """Audited. CSV (UTF-8) with the columns that are read, and 行号, 原因, 原因代码, as for files. A row leaves this
    list when it is corrected in the table and read again."""
    find_feed(feed, caller)
    async with db.transaction() as tx:
        stored = (await store.load_feeds(tx.sql, [feed])).get(feed)
        await audits.append(tx, caller, act="feed_rejects", purpose="correct", cause=feed, fields=["row"])
    return csv_file(as_csv(_pages(db, feed), _headers(stored)), f"rejects-{feed}")


def _headers(stored: StoredFeed | None) -> list[list[str]]:
    """The header rows of the file: one row, or none before the first run."""
    return [list(opened(stored.headers, f"feed/{stored.feed}/headers"))] if stored else []


async def _pages(db: Database, feed: str) -> AsyncIterator[list[KeptReject]]:
    after = b""
    while True:
        async with db.reading() as connection:
            rows = await feed_rows.list_rejects(connection, feed, after, PAGE)
        if rows:
            yield [open_reject(r.problems, r.sealed, f"feed/{feed}/{r.row_key.hex()}") for r in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1].row_key
