"""Reads and checks the table feeds, which are the files in `contracts/tables/*.yaml`.

A feed describes one front-end table: its place, its interval, its mapping and the meaning of its rows.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml
from common.errors import Malformed
from common.events.kinds import ONE_DAY_KINDS
from common.patterns import SOURCE, exact
from msgspec import Meta
from shell.settings import repository_root

from ingestion.exchange.domain.states import EndMeaning, RowRules, UpdateMeaning
from ingestion.files.domain.dates import reads_dates
from ingestion.files.mapping import Given, Mapping, pointer_in, resolve
from ingestion.register.sources import registered
from ingestion.settings import FeedSettings, feed_url

Name = Annotated[str, Meta(pattern=exact("[a-z][a-z0-9_]{1,39}"))]
Column = Annotated[str, Meta(min_length=1, max_length=128)]
Variable = Annotated[str, Meta(pattern=exact("SHOUWANG_FEED_URL_[A-Z0-9_]{1,40}"))]
FILE_BYTES_MAX: Final = 64 * 1024
SET_BY_CONNECTOR: Final = ("id", "action", "previous_event_id")
_ONLY_FOR_FILES: Final = ("sheet", "encoding", "delimiter", "time")


class FeedBroken(Exception):
    """The feed cannot be read now. `code` is on the published list. `extra`: details that help to repair it."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class Watermark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Columns that together grow with every change; the first one is compared first. `kind`: of the first column, an
    instant (`time`; without an offset it is Asia/Shanghai) or a number. `format` (strptime): for an instant stored as
    text. Every run begins `overlap` (seconds or steps) before the newest change that was read, because some rows are
    committed late."""

    columns: Annotated[list[Column], Meta(min_length=1, max_length=4)]
    kind: Literal["time", "number"] = "time"
    format: Annotated[str, Meta(max_length=40)] = "%Y-%m-%d %H:%M:%S"
    overlap: Annotated[int, Meta(ge=0, le=10_000_000)] = 600


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The column with the operation on the row, and its words. An empty cell counts as `present`."""

    column: Column
    present: Annotated[tuple[str, ...], Meta(max_length=40)] = ("I", "U", "INSERT", "UPDATE", "新增", "修改")
    deleted: Annotated[tuple[str, ...], Meta(max_length=40)] = ("D", "DELETE", "删除")


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of one source. `status: example` is shown and never read. `url_env`: the variable with the URL of the
    database. Either `table` (with `schema`) or `query` is given. `key`: the columns that identify a row permanently;
    `mapping`: as for files. `updated`, `deleted`, `missing`: the meaning of such a row. An officer
    must confirm missing rows if the table is empty, or if they are more than ten and more than `missing_percent_max`
    percent of the known rows."""

    feed: Name
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    status: Literal["example", "in_use"]
    source: Annotated[str, Meta(max_length=128, pattern=exact(SOURCE))]
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
    updated: UpdateMeaning = "by_period"
    deleted: EndMeaning = "ended"
    missing: EndMeaning = "ended"
    missing_percent_max: Annotated[int, Meta(ge=0, le=100)] = 5


class FeedProblem(msgspec.Struct, frozen=True):
    """A fault in the file of a feed. `pointer`: its place in the file."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True)
class Setup:
    """A valid feed, with the mapping of its columns and the meaning of its rows."""

    feed: Feed
    mapping: Mapping
    rules: RowRules

    @property
    def area(self) -> str:
        """The area whose officers are responsible: the registered area of the source, else the one in its URN."""
        source = registered().get(self.feed.source)
        return source.area if source else self.feed.source.split(":")[3]

    @property
    def order(self) -> list[str]:
        """The columns that sort the rows of a page: watermark and key. Together they should identify a row of the
        table; if too many rows have the same values, the feed fails with `order_not_unique`."""
        marks = self.feed.watermark.columns if self.feed.watermark else []
        return list(dict.fromkeys([*marks, *self.feed.key]))


@dataclass(frozen=True)
class Configured:
    """All files of the folder of feeds. `setups`: the valid feeds by name; `faulty`: the faults by name of the file."""

    setups: dict[str, Setup]
    faulty: dict[str, tuple[FeedProblem, ...]]


def configured() -> Configured:
    """Return all feeds of the folder in the settings. A folder is read once per process."""
    return _read_folder(str(FeedSettings().folder or repository_root() / "contracts" / "tables"))


def url_of(feed: Feed) -> str:
    """Return the URL of the feed's database. It contains a password: it is never stored, logged or shown.

    Raises FeedBroken if the environment variable is not set."""
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
        if not isinstance(read, Setup):
            faulty[path.name] = read
        elif read.feed.feed in setups:
            faulty[path.name] = (FeedProblem("/feed", "duplicate_entry", "another file has this name"),)
        else:
            setups[read.feed.feed] = read
    return Configured(setups, faulty)


def read_feed(content: bytes) -> Setup | tuple[FeedProblem, ...]:
    """Return the feed in the content of a file, or all faults of the file."""
    if len(content) > FILE_BYTES_MAX:
        return (FeedProblem("", "length", f"a file holds at most {FILE_BYTES_MAX} bytes"),)
    try:
        feed = msgspec.convert(yaml.safe_load(content.decode()), Feed)
    except msgspec.ValidationError as wrong:
        return (_schema_fault(str(wrong)),)
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:  # ValueError: bytes or a date that cannot exist
        return (FeedProblem("", "not_yaml", type(wrong).__name__),)
    return _resolve(feed)


def _schema_fault(message: str) -> FeedProblem:
    return FeedProblem(pointer_in(message), "schema", message.partition(" - at `$")[0][:200])


def _resolve(feed: Feed) -> Setup | tuple[FeedProblem, ...]:
    problems = [*_table_faults(feed), *_mapping_faults(feed.mapping)]
    try:
        mapping = resolve(feed.kind, feed.mapping)
    except Malformed as wrong:
        return (*problems, *(FeedProblem(f"/mapping{p.pointer}", p.code, p.detail) for p in wrong.problems))
    if problems:
        return tuple(problems)
    for name in SET_BY_CONNECTOR:
        mapping.columns.pop(name, None)
    return Setup(feed, mapping, _rules_of(feed))


def _rules_of(feed: Feed) -> RowRules:
    is_one_day = feed.kind in ONE_DAY_KINDS
    updated = feed.updated
    if is_one_day and feed.kind != "alive" and updated == "by_period":
        updated = "corrected"  # another day in the row of a death corrects it, but every sign of life is a new fact
    return RowRules(updated, feed.deleted, feed.missing, is_one_day)


def _table_faults(feed: Feed) -> list[FeedProblem]:
    problems = []
    if (feed.table is None) == (feed.query is None):
        problems.append(FeedProblem("/table", "table_or_query", "either a table or a query"))
    if feed.mode == "changes" and feed.watermark is None:
        problems.append(FeedProblem("/watermark", "required", "changes are read by a watermark"))
    if feed.watermark is not None and feed.watermark.kind == "time" and not reads_dates(feed.watermark.format):
        problems.append(FeedProblem("/watermark/format", "date_format", "a format of strptime that reads a date"))
    if feed.mode == "full":
        problems += _full_load_faults(feed)
    return problems


def _full_load_faults(feed: Feed) -> list[FeedProblem]:
    return [
        FeedProblem(f"/{name}", "not_for_full", "a full load compares all rows")
        for name in ("watermark", "operation")
        if getattr(feed, name) is not None
    ]


def _mapping_faults(given: Given) -> list[FeedProblem]:
    problems = [
        FeedProblem(f"/mapping/{name}", "not_for_tables", "only a mapping of files has this field")
        for name in _ONLY_FOR_FILES
        if getattr(given, name) is not None
    ]
    for part in ("columns", "defaults", "codes"):
        fields = getattr(given, part)
        problems += [
            FeedProblem(f"/mapping/{part}/{name}", "not_for_tables", "the connector sets this field")
            for name in SET_BY_CONNECTOR
            if name in fields
        ]
    return problems


def need_registered(feed: Feed) -> None:
    """Raise FeedBroken unless the source may send this kind now, because the register changes at run time."""
    source = registered().get(feed.source)
    if source is None or feed.kind not in source.ranks:
        raise FeedBroken("not_registered", source=feed.source, kind=feed.kind)
    if not source.active:
        raise FeedBroken("source_suspended", source=feed.source)
