"""The register of sources: kinds, areas, rank, signature and quota of each.

`contracts/sources.yaml` is the seed. The versions in the database are in force; rows are only added, with their dates.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from time import monotonic
from typing import Annotated, Any, Final

import msgspec
import yaml
from common.errors import NotAllowed
from fastapi import Path
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller
from shell.access.scopes import OwnSource, scope_of
from shell.settings import repository_root
from shell.store.database import Database

from ingestion.domain.pushed import Source
from ingestion.domain.standing import Rules
from ingestion.register.shapes import Entry, SourcesFile
from ingestion.register.store import registry as store

LOOK_EVERY_SECONDS: Final = 5.0
SEED: Final = "contracts/sources.yaml"
URN_PATTERN: Final = r"^urn:cn:exchange:[0-9]{6}:[a-z0-9_]{1,40}$"
Urn = Annotated[str, Path(max_length=128, pattern="^[A-Za-z0-9:_.-]+$", examples=["urn:cn:exchange:530300:psb"])]


class Version(BaseModel):
    """What is in force of a source: `since` when, and by whose decision."""

    version: int
    since: datetime | None
    entry: Entry


class _Register:
    """What this process knows. Before the database was asked: the seed."""

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {urn: Version(version=0, since=None, entry=e) for urn, e in seed().items()}
        self.sources = {urn: _source(urn, v.entry) for urn, v in self.versions.items()}
        self.rows = 0
        self.look_again_at = 0.0

    def replace(self, rows: int, found: Mapping[str, Version]) -> None:
        self.rows = rows
        if found:
            self.versions = dict(found)
            self.sources = {urn: _source(urn, v.entry) for urn, v in found.items()}


@cache
def _file() -> SourcesFile:
    text = (repository_root() / SEED).read_text(encoding="utf-8")
    return SourcesFile.model_validate(yaml.safe_load(text))


@cache
def seed() -> dict[str, Entry]:
    """The entries of the file, by URN."""
    return _file().entries()


@cache
def standing_rules() -> Rules:
    """Which source may state what about whom."""
    return msgspec.convert(_file().standing.model_dump(), Rules)


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
    """All sources by URN, also those that may not send any more."""
    return _register().sources


def need_source(caller: Caller, urn: str, area: str | None) -> None:
    """Raises NotAllowed unless the source is the caller's own, or lies in the caller's area. `area`: of the source;
    None for one that is not registered."""
    scope = scope_of(caller)
    if isinstance(scope, OwnSource):
        if scope.source != urn:
            raise NotAllowed("your token speaks for another source")
    elif not scope.sees(area):
        raise NotAllowed("outside your area")


def versions_seen(caller: Caller) -> dict[str, Version]:
    """The entry in force of every source in the caller's scope, by URN: its own, or those of its area."""
    scope = scope_of(caller)
    if isinstance(scope, OwnSource):
        return {urn: version for urn, version in versions().items() if urn == scope.source}
    return {urn: version for urn, version in versions().items() if scope.sees(version.entry.area)}


def versions() -> dict[str, Version]:
    """The entry in force of every source, by URN."""
    return _register().versions


def _stale() -> bool:
    return monotonic() >= _register().look_again_at


def forget() -> None:
    """Start from the seed again."""
    _register.cache_clear()


async def look(database: Database, *, now: bool = False) -> None:
    """Take over what was changed meanwhile; without `now` only when the last look is some seconds old."""
    if now or _stale():
        async with database.reading() as connection:
            await look_on(connection, now=now)


async def look_on(connection: Any, *, now: bool = False) -> None:
    """The same on a connection one has."""
    if not now and not _stale():
        return
    register, instant = _register(), clock.now()
    register.look_again_at = monotonic() + LOOK_EVERY_SECONDS
    rows = await store.count_versions(connection, instant)
    if rows != register.rows:
        found = await store.load_in_force(connection, instant)
        register.replace(
            rows,
            {
                r["source"]: Version(
                    version=r["version"], since=r["since"], entry=Entry.model_validate_json(r["entry"])
                )
                for r in found
            },
        )


async def seed_register(database: Database) -> None:
    """Enter what the file says, where nobody has decided otherwise since."""
    now = clock.now()
    async with database.transaction() as tx:
        newest = await store.load_newest(tx.sql)
        rows = []
        for urn, entry in seed().items():
            known = newest.get(urn)
            if known is None or (known["decided_by"] == SEED and Entry.model_validate_json(known["entry"]) != entry):
                version = known["version"] + 1 if known else 1
                rows.append((urn, version, now, entry.model_dump_json().encode(), SEED, SEED))
        await store.insert_versions(tx, rows)
    await look(database, now=True)
