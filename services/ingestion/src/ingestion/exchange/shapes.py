"""The HTTP bodies and answers about feeds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Path
from pydantic import BaseModel, Field
from shell.http import params
from shell.http.params import Body, Reason

from ingestion.domain.file_problems import FEEDS
from ingestion.exchange.feeds import FeedProblem, Setup
from ingestion.exchange.store.feeds import StoredFeed, StoredRun

FeedName = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,40}$", examples=["qujing_disability"])]


class RunFeedIn(Body):
    """Reads a table now. `from_start`: read the whole table again; only rows that differ from the stored ones give
    events."""

    from_start: bool = False


class ConfirmMissingIn(Body):
    """Confirms that missing rows are right. `missing`: their number as the officer saw it; if it has changed, the
    answer is 409."""

    missing: params.Sequence
    reason: Reason


class FeedProblemOut(BaseModel):
    """Why a table cannot be read, or why its missing rows do not end. `more`: details that help to repair it."""

    code: str
    detail: str
    detail_zh: str
    more: dict[str, Any] = {}


class FeedRunOut(BaseModel):
    """One run through the table. `rows_read` = `accepted` + `unchanged` + `quarantined` + `rejected`; `missing`: rows
    that are no longer in a full load; `ended`: the number of missing rows whose facts were ended."""

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
    problem: FeedProblemOut | None
    confirmed_by: str | None


class FeedOut(BaseModel):
    """A front-end table and its state. `rejects`: the number of rows that are rejected at present; `failures`: failed
    attempts in a row."""

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
    problem: FeedProblemOut | None
    problem_at: datetime | None
    rejects: int
    last_run: FeedRunOut | None


class FaultOut(BaseModel):
    pointer: str
    code: str
    detail: str


class FaultyFileOut(BaseModel):
    """A file of the folder that is not a valid feed, and its faults."""

    file: str
    problems: list[FaultOut]


class FeedListOut(BaseModel):
    feeds: list[FeedOut]
    faulty: list[FaultyFileOut]


class FeedRunPageOut(BaseModel):
    runs: list[FeedRunOut]
    next: int | None


def feed_out(setup: Setup, stored: StoredFeed | None, run: StoredRun | None, rejects: int) -> FeedOut:
    """The answer about one feed. `stored`, `run`: None if it was never read; `rejects`: number of rejected rows."""
    feed = setup.feed
    state = stored.state if stored else "idle"
    return FeedOut(
        feed=feed.feed,
        title=feed.title,
        source=feed.source,
        kind=feed.kind,
        mode=feed.mode,
        state="example" if feed.status == "example" else state,
        every_seconds=feed.every_seconds,
        worked_at=stored.worked_at if stored else None,
        next_at=stored.next_at if stored else None,
        failures=stored.failures if stored else 0,
        problem=_problem_out(stored.problem) if stored else None,
        problem_at=stored.problem_at if stored else None,
        rejects=rejects,
        last_run=run_out(run) if run else None,
    )


def run_out(run: StoredRun) -> FeedRunOut:
    fields = run._asdict() | {"problem": _problem_out(run.problem)}
    return FeedRunOut(**{name: fields[name] for name in FeedRunOut.model_fields})


def faulty_out(faulty: Mapping[str, Sequence[FeedProblem]]) -> list[FaultyFileOut]:
    return [
        FaultyFileOut(file=file, problems=[FaultOut(**msgspec.structs.asdict(problem)) for problem in problems])
        for file, problems in faulty.items()
    ]


def _problem_out(stored: bytes) -> FeedProblemOut | None:
    if not stored:
        return None
    more: dict[str, Any] = msgspec.json.decode(stored)
    code = more.pop("code")
    return FeedProblemOut(code=code, detail=FEEDS[code][0], detail_zh=FEEDS[code][1], more=more)
