"""Feeds as data: which table is read, how often, and what its rows mean (`contracts/tables/*.yaml`)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml
from common.errors import Malformed
from common.events.kinds import ONE_DAY_KINDS
from msgspec import Meta
from shell.settings import repository_root

from ingestion.exchange.domain import Goodbye, Updates, Ways
from ingestion.files.mapping import Given, Mapping, resolve
from ingestion.register.sources import URN_PATTERN, registered
from ingestion.settings import FeedSettings, feed_url

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{1,39}$")]
Column = Annotated[str, Meta(min_length=1, max_length=128)]
Variable = Annotated[str, Meta(pattern="^SHOUWANG_FEED_URL_[A-Z0-9_]{1,40}$")]
FILE_BYTES_MAX: Final = 64 * 1024
DECIDED_BY_US: Final = ("id", "action", "previous_event_id")
_OF_FILES: Final = ("sheet", "encoding", "delimiter", "time")


class FeedBroken(Exception):
    """The feed cannot be read now; `code` is on the published list. `extra`: more for whoever mends it."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class Watermark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Columns that grow with every change, the first one deciding. `kind`: an instant (`time`; without an offset it is
    Asia/Shanghai) or a number; `format`: of an instant kept as text (strptime). Every run begins `overlap` before the
    newest change that was read (seconds or steps), for rows that were committed late."""

    columns: Annotated[list[Column], Meta(min_length=1, max_length=4)]
    kind: Literal["time", "number"] = "time"
    format: Annotated[str, Meta(max_length=40)] = "%Y-%m-%d %H:%M:%S"
    overlap: Annotated[int, Meta(ge=0, le=10_000_000)] = 600


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The column that says what was done with the row, and its words. An empty cell counts as `present`."""

    column: Column
    present: Annotated[tuple[str, ...], Meta(max_length=40)] = ("I", "U", "INSERT", "UPDATE", "新增", "修改")
    deleted: Annotated[tuple[str, ...], Meta(max_length=40)] = ("D", "DELETE", "删除")


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of one source. `status: example` is shown and never read. `url_env`: the variable with the URL of the
    database; `table` (with `schema`) or `query`; `key`: the columns that name a row for ever; `mapping`: as of files;
    `updated`, `deleted`, `missing`: what such a row says; `missing_percent_max`: more missing rows than this wait for
    an officer."""

    feed: Name
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    status: Literal["example", "in_use"]
    source: Annotated[str, Meta(max_length=128, pattern=URN_PATTERN)]
    kind: Annotated[str, Meta(max_length=40)]
    url_env: Variable
    schema: Column | None = None
    table: Column | None = None
    query: Annotated[str, Meta(min_length=1, max_length=8_000)] | None = None
    key: Annotated[list[Column], Meta(min_length=1, max_length=4)]
    mode: Literal["changes", "full"]
    watermark: Watermark | None = None
    operation: Operation | None = None
    mapping: Given = Given()
    every_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 300
    updated: Updates = "by_period"
    deleted: Goodbye = "ended"
    missing: Goodbye = "ended"
    missing_percent_max: Annotated[int, Meta(ge=0, le=100)] = 5


class FeedProblem(msgspec.Struct, frozen=True):
    """What is wrong with a feed's file. `pointer`: the place in it."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True)
class Setup:
    """A feed that is in order, and what follows from it."""

    feed: Feed
    mapping: Mapping
    ways: Ways

    @property
    def area(self) -> str:
        """Whose officers answer for it: the source's area as it is registered now, else the one in its URN."""
        source = registered().get(self.feed.source)
        return source.area if source else self.feed.source.split(":")[3]

    @property
    def order(self) -> list[str]:
        """The columns by which the table is read, unique together."""
        marks = self.feed.watermark.columns if self.feed.watermark else []
        return list(dict.fromkeys([*marks, *self.feed.key]))


@dataclass(frozen=True)
class Configured:
    """All files of the folder: those in order by name, and by file name what is wrong with the others."""

    setups: dict[str, Setup]
    faulty: dict[str, tuple[FeedProblem, ...]]


def configured() -> Configured:
    """Read once per process and folder."""
    return _read_folder(str(FeedSettings().folder or repository_root() / "contracts" / "tables"))


def url_of(feed: Feed) -> str:
    """Raises FeedBroken. The URL holds a password: it is neither kept, logged nor shown."""
    url = feed_url(feed.url_env)
    if not url:
        raise FeedBroken("url_missing", variable=feed.url_env)
    return url


@lru_cache(maxsize=32)
def _read_folder(folder: str) -> Configured:
    setups: dict[str, Setup] = {}
    faulty: dict[str, tuple[FeedProblem, ...]] = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        read = read_feed(path.read_bytes())
        if isinstance(read, Setup) and read.feed.feed in setups:
            read = (FeedProblem("/feed", "duplicate_entry", "another file has this name"),)
        if isinstance(read, Setup):
            setups[read.feed.feed] = read
        else:
            faulty[path.name] = read
    return Configured(setups, faulty)


def read_feed(content: bytes) -> Setup | tuple[FeedProblem, ...]:
    """A feed from its file, or everything that is wrong with it."""
    if len(content) > FILE_BYTES_MAX:
        return (FeedProblem("", "length", f"a file holds at most {FILE_BYTES_MAX} bytes"),)
    try:
        feed = msgspec.convert(yaml.safe_load(content.decode()), Feed)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as wrong:
        return (FeedProblem("", "not_yaml", type(wrong).__name__),)
    except msgspec.ValidationError as wrong:
        text, _, place = str(wrong).partition(" - at `$")
        pointer = "".join(f"/{part}" for part in re.findall(r"\w+", place))
        return (FeedProblem(pointer, "schema", text[:200]),)
    return _resolved(feed)


def _resolved(feed: Feed) -> Setup | tuple[FeedProblem, ...]:
    problems = _contradictions(feed)
    mapping: Mapping | None = None
    try:
        mapping = resolve(feed.kind, feed.mapping)
    except Malformed as wrong:
        problems += [FeedProblem(f"/mapping{p.pointer}", p.code, p.detail) for p in wrong.problems]
    if problems or mapping is None:
        return tuple(problems)
    for name in DECIDED_BY_US:
        mapping.columns.pop(name, None)
    is_day = feed.kind in ONE_DAY_KINDS
    # Another day in the row of a death or an accident is the right day of that one; a sign of life is a new one.
    updated = "corrected" if is_day and feed.kind != "alive" and feed.updated == "by_period" else feed.updated
    ways = Ways(updated, feed.deleted, feed.missing, is_day)
    return Setup(feed, mapping, ways)


def _contradictions(feed: Feed) -> list[FeedProblem]:
    problems = []
    if (feed.table is None) == (feed.query is None):
        problems.append(FeedProblem("/table", "table_or_query", "either a table or a query"))
    if feed.mode == "changes" and feed.watermark is None:
        problems.append(FeedProblem("/watermark", "required", "changes are read by a watermark"))
    if feed.mode == "full":
        problems += [
            FeedProblem(f"/{name}", "not_for_full", "a full load compares all rows")
            for name in ("watermark", "operation")
            if getattr(feed, name) is not None
        ]
    given = feed.mapping
    problems += [
        FeedProblem(f"/mapping/{name}", "not_for_tables", "this is said of files only")
        for name in _OF_FILES
        if getattr(given, name) is not None
    ]
    problems += [
        FeedProblem(f"/mapping/{part}/{name}", "not_for_tables", "the connector decides this by itself")
        for part in ("columns", "defaults", "codes")
        for name in DECIDED_BY_US
        if name in getattr(given, part)
    ]
    return problems


def need_registered(feed: Feed) -> None:
    """Raises FeedBroken unless its source may say this kind now: the register changes while we run."""
    source = registered().get(feed.source)
    if source is None or feed.kind not in source.ranks:
        raise FeedBroken("not_registered", source=feed.source, kind=feed.kind)
    if not source.active:
        raise FeedBroken("source_suspended", source=feed.source)
