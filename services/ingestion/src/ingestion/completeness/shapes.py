"""The HTTP answers about registered sources: their arrivals, gaps, history, quota and topic."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from ingestion.register.shapes import Entry


class HeardOut(BaseModel):
    """The last arrival of a kind. `silent_since`: the start of the open alarm, because the next arrival is overdue."""

    heard_at: datetime | None
    silent_since: datetime | None


class SourceOut(BaseModel):
    """`kinds`: the kinds that the source may send, with its rank (1 is the strongest). `heard`: the last arrival of
    each kind. `gaps`: number of incomplete days."""

    source: str
    name: str
    area: str
    kinds: dict[str, int]
    active: bool
    heard: dict[str, HeardOut]
    gaps: int


class SourceListOut(BaseModel):
    sources: list[SourceOut]


class DecisionOut(BaseModel):
    """A decision that created one version of a source's entry. `decided_by`: the administrator, or the seed file."""

    version: int
    since: datetime
    decided_by: str
    reason: str


class QuotaLeftOut(BaseModel):
    """The numbers of events that the quotas per minute and per day still allow; a negative number is a debt."""

    minute: int
    day: int


class TopicOut(BaseModel):
    """The source's own Kafka topic. `state`: records are read once it is `open`. While it is `waiting`, the platform
    tries again at `try_at`; `problem` is the reason of the last failure."""

    name: str
    state: Literal["waiting", "open"]
    opened_at: datetime | None = None
    tries: int = 0
    try_at: datetime | None = None
    problem: str | None = None


class SourceDetailOut(SourceOut):
    """`version` 0: the seed, before it is stored. `history`: newest first. `topic`: only if the entry has `kafka`."""

    version: int
    since: datetime | None
    entry: Entry
    history: list[DecisionOut]
    quota_left: QuotaLeftOut | None
    topic: TopicOut | None


class GapOut(BaseModel):
    """An incomplete day. `ours`: number of events that arrived; `told`: number that the source reported."""

    source: str
    day: date
    state: str
    ours: int
    told: int | None
    since: datetime


class GapPageOut(BaseModel):
    gaps: list[GapOut]
    next: str | None
