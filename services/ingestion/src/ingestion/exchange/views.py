"""A feed as it is shown, and who may see it."""

from datetime import datetime
from typing import Any

import msgspec
from common.errors import NotFound
from pydantic import BaseModel, Field
from shell.access.auth import Caller
from shell.access.scopes import OwnSource, scope_of

from ingestion.domain.file_problems import FEEDS
from ingestion.exchange.feeds import Setup, configured


class FeedTrouble(BaseModel):
    """Why a table cannot be read, or why nobody's absence from it counts. `more`: what helps to mend it."""

    code: str
    detail: str
    detail_zh: str
    more: dict[str, Any] = {}


class FeedRun(BaseModel):
    """One reading of the table. `rows_read` = `accepted` + `unchanged` + `quarantined` + `rejected`; `missing`: rows
    that a full load no longer had; `ended`: how many of them came to an end."""

    run: int
    state: str = Field(description="reading, ending, held (an officer must confirm), unsure, or done")
    started_at: datetime
    finished_at: datetime | None
    rows_read: int
    accepted: int
    unchanged: int
    quarantined: int
    rejected: int
    missing: int
    ended: int
    problem: FeedTrouble | None
    confirmed_by: str | None


class Feed(BaseModel):
    """A front-end table and how it stands. `rejects`: how many rows are refused as they are now; `failures`: how often
    in a row it could not be read."""

    feed: str
    title: str
    source: str
    kind: str
    mode: str = Field(description="changes (by watermark) or full (a missing row means an end)")
    state: str = Field(description="example (never read), idle, reading, ending, or held (an officer must confirm)")
    every_seconds: int
    worked_at: datetime | None
    next_at: datetime | None
    failures: int
    problem: FeedTrouble | None
    problem_at: datetime | None
    rejects: int
    last_run: FeedRun | None


def shown(setup: Setup, row: Any, run: Any, rejects: int) -> Feed:
    feed = setup.feed
    state = "example" if feed.status == "example" else (row["state"] if row else "idle")
    return Feed(
        feed=feed.feed,
        title=feed.title,
        source=feed.source,
        kind=feed.kind,
        mode=feed.mode,
        state=state,
        every_seconds=feed.every_seconds,
        worked_at=row["worked_at"] if row else None,
        next_at=row["next_at"] if row else None,
        failures=row["failures"] if row else 0,
        problem=trouble(row["problem"]) if row else None,
        problem_at=row["problem_at"] if row else None,
        rejects=rejects,
        last_run=shown_run(run) if run else None,
    )


def shown_run(row: Any) -> FeedRun:
    return FeedRun(
        **{name: row[name] for name in FeedRun.model_fields if name != "problem"}, problem=trouble(row["problem"])
    )


def trouble(kept: bytes) -> FeedTrouble | None:
    if not kept:
        return None
    told: dict[str, Any] = msgspec.json.decode(kept)
    code = told.pop("code")
    return FeedTrouble(code=code, detail=FEEDS[code][0], detail_zh=FEEDS[code][1], more=told)


def may_see(setup: Setup, caller: Caller) -> bool:
    scope = scope_of(caller)
    return setup.feed.source == scope.source if isinstance(scope, OwnSource) else scope.sees(setup.area)


def find(name: str, caller: Caller) -> Setup:
    """Raises NotFound also for what is not the caller's, as if it did not exist."""
    setup = configured().setups.get(name)
    if setup is None or not may_see(setup, caller):
        raise NotFound("no such feed")
    return setup
