"""The register in force: each source with its kinds, areas, rank, signature and quota.

Each process keeps a copy and refreshes it from the database every few seconds. Before the first refresh it is the seed.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from time import monotonic
from typing import Annotated, Any, Final

from common.errors import NotAllowed
from fastapi import Path
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller
from shell.access.scopes import OwnSource, Scope, scope_of
from shell.store.database import Database

from ingestion.domain.pushed import Source
from ingestion.register.seed import seed
from ingestion.register.shapes import Entry
from ingestion.register.store import registry as store

REFRESH_SECONDS: Final = 5.0
URN_PATTERN: Final = r"^urn:cn:exchange:[0-9]{6}:[a-z0-9_]{1,40}$"
Urn = Annotated[str, Path(max_length=128, pattern="^[A-Za-z0-9:_.-]+$", examples=["urn:cn:exchange:530300:psb"])]


class Version(BaseModel):
    """A version of a source's entry, in force from `since` on. The seed has version 0 and no `since`."""

    version: int
    since: datetime | None
    entry: Entry


class _Register:
    """This process's copy of the register. `rows`: how many versions had begun at the last refresh."""

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {urn: Version(version=0, since=None, entry=e) for urn, e in seed().items()}
        self.sources = _sources(self.versions)
        self.rows = 0
        self.refresh_at = 0.0

    def replace(self, rows: int, found: Mapping[str, Version]) -> None:
        self.rows = rows
        if found:
            self.versions = dict(found)
            self.sources = _sources(found)


def _sources(versions: Mapping[str, Version]) -> dict[str, Source]:
    return {urn: _source(urn, version.entry) for urn, version in versions.items()}


def _source(urn: str, entry: Entry) -> Source:
    return Source(
        urn,
        entry.area,
        entry.name,
        {str(kind): rank for kind, rank in entry.kinds.items()},
        tuple(entry.areas or [entry.area]),
        entry.active,
        entry.internal,
    )


@cache
def _register() -> _Register:
    return _Register()


def registered() -> dict[str, Source]:
    """All sources by URN, including inactive ones."""
    return _register().sources


def versions() -> dict[str, Version]:
    """The version in force of every source, by URN."""
    return _register().versions


def entries() -> dict[str, Entry]:
    """The entry in force of every source, by URN, including inactive ones."""
    return {urn: version.entry for urn, version in versions().items()}


def active_entries() -> dict[str, Entry]:
    return {urn: entry for urn, entry in entries().items() if entry.active}


def entry_of(urn: str | None) -> Entry | None:
    """The entry in force of one source; None if it is not registered."""
    version = versions().get(urn or "")
    return version.entry if version is not None else None


def versions_seen(caller: Caller) -> dict[str, Version]:
    """The version in force of every source in the caller's scope: its own, or those of its area. By URN."""
    scope = scope_of(caller)
    return {urn: version for urn, version in versions().items() if _is_seen(scope, urn, version.entry)}


def _is_seen(scope: Scope, urn: str, entry: Entry) -> bool:
    return urn == scope.source if isinstance(scope, OwnSource) else scope.sees(entry.area)


def need_source(caller: Caller, urn: str, area: str | None) -> None:
    """Raise NotAllowed unless the source is the caller's own, or lies in the caller's area.

    `area`: the source's area; None if it is not registered.
    """
    scope = scope_of(caller)
    if isinstance(scope, OwnSource):
        if scope.source != urn:
            raise NotAllowed("your token speaks for another source")
    elif not scope.sees(area):
        raise NotAllowed("outside your area")


def forget() -> None:
    """Drop this process's copy; the next call starts from the seed."""
    _register.cache_clear()


async def refresh(database: Database, *, now: bool = False) -> None:
    """Load changes of the register. Does nothing within REFRESH_SECONDS of the last refresh, unless `now`."""
    if now or _is_stale():
        async with database.reading() as connection:
            await refresh_on(connection, now=now)


async def refresh_on(connection: Any, *, now: bool = False) -> None:
    """Like `refresh`, on the caller's connection."""
    if not now and not _is_stale():
        return
    register, instant = _register(), clock.now()
    register.refresh_at = monotonic() + REFRESH_SECONDS
    rows = await store.count_versions(connection, instant)
    if rows != register.rows:
        found = {row.source: _version(row) for row in await store.load_in_force(connection, instant)}
        register.replace(rows, found)


def _is_stale() -> bool:
    return monotonic() >= _register().refresh_at


def _version(row: store.InForce) -> Version:
    return Version(version=row.version, since=row.since, entry=Entry.model_validate_json(row.entry))
