"""The register of sources: kinds, areas, rank, signature and quota of each.

`contracts/sources.yaml` is the seed. The versions in the database are in force; rows are only added, with their dates.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from time import monotonic
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
import yaml
from common import clock
from common.codes import divisions
from common.database import Database
from common.events.facts import Kind
from common.settings import repository_root
from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingestion.domain.pushed import Source
from ingestion.domain.silence import Cadence
from ingestion.domain.standing import Rules, Treatment
from ingestion.store import registry as store

LOOK_EVERY_SECONDS: Final = 5.0
SEED: Final = "contracts/sources.yaml"
URN_PATTERN: Final = r"^urn:cn:exchange:[0-9]{6}:[a-z0-9_]{1,40}$"
Urn = Annotated[str, Path(max_length=128, examples=["urn:cn:exchange:530300:psb"])]
Rank = Annotated[int, Field(ge=1, le=9)]
Division = Annotated[str, Field(pattern="^[0-9]{6}([0-9]{3}){0,2}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceKey(_Strict):
    """A public key (JWK, EC P-256 or Ed25519) on its days. Two may hold at once, so that keys can be changed."""

    kid: str = Field(min_length=1, max_length=64)
    jwk: dict[str, str]
    valid_from: date
    valid_to: date | None = None

    @field_validator("jwk")
    @classmethod
    def _public(cls, jwk: dict[str, str]) -> dict[str, str]:
        if (jwk.get("kty"), jwk.get("crv")) not in {("EC", "P-256"), ("OKP", "Ed25519")} or "d" in jwk:
            raise ValueError("a public JWK of EC P-256 or Ed25519 is needed")
        return jwk


class Quota(_Strict):
    """How many events are taken from a source. Deaths and signs of life are never refused."""

    per_minute: int = Field(ge=1, le=10_000_000)
    per_day: int = Field(ge=1, le=1_000_000_000)


class Feed(_Strict):
    """From `since` on, the source tells every change of `kind` in `division`: who is not in it has none."""

    kind: Kind
    division: Division
    since: date
    until: date | None = None


class Entry(_Strict):
    """`kinds`: what the source may say, and its rank there (1 is the strongest); a change of rank holds for what comes
    later. `areas`: whose people it knows; its own where none are given. `cadence`: how often something of a kind
    comes at least. `tells_days`: it tells its count of every day, and the lack of it is a gap. `kafka`: the source has
    a topic of its own. `internal`: only the platform itself writes under this name."""

    name: str = Field(min_length=1, max_length=100)
    area: Division
    kinds: dict[Kind, Rank]
    areas: list[Division] = Field(default=[], max_length=100)
    cadence: dict[Kind, Cadence] = {}
    signs: Literal["token", "signature", "either"] = "either"
    keys: list[SourceKey] = Field(default=[], max_length=4)
    quota: Quota | None = None
    feeds: list[Feed] = Field(default=[], max_length=500)
    tells_days: bool = False
    kafka: bool = False
    active: bool = True
    internal: bool = False

    @model_validator(mode="after")
    def _sound(self) -> "Entry":
        for code in (self.area, *self.areas, *(f.division for f in self.feeds)):
            if not divisions.known(code):
                raise ValueError(f"no such division: {code}")
        if strange := ({*self.cadence, *(f.kind for f in self.feeds)} - set(self.kinds)):
            raise ValueError(f"not among its kinds: {', '.join(sorted(strange))}")
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same kid")
        if self.signs == "signature" and not self.keys:
            raise ValueError("a source that must sign needs a key")
        return self


class _Office(_Strict):
    name: str
    kinds: dict[Kind, Rank]
    cadence: dict[Kind, Cadence] = {}
    kafka: bool = False


class _Comparing(_Strict):
    """Offices that compare people across the areas below them."""

    areas: list[Division]
    offices: list[str]


class _Standing(_Strict):
    """What becomes of an event whose source does not belong to the person (`domain.standing.Rules`)."""

    others: dict[Kind, Treatment]
    strict: list[Kind]
    closing_days: int = Field(ge=0, le=366)
    silence_working_days: int = Field(ge=1, le=250)
    evidence_days: int = Field(ge=0, le=366)
    refuted_deaths_max: int = Field(ge=1, le=100)
    hint_days: int = Field(ge=1, le=366)
    group_events_max: int = Field(ge=1, le=1_000_000)
    case_days: int = Field(ge=1, le=60)

    @model_validator(mode="after")
    def _complete(self) -> "_Standing":
        if missing := set(get_args(Kind)) - set(self.others):
            raise ValueError(f"no rule for: {', '.join(sorted(missing))}")
        return self


class SourcesFile(_Strict):
    """`contracts/sources.yaml`. `cadence` and `quota` hold for every office that gives none of its own. `internal`:
    offices that every county in `areas` has."""

    standing: _Standing
    areas: list[Division]
    comparing: _Comparing
    internal: dict[str, _Office]
    offices: dict[str, _Office]
    cadence: dict[Kind, Cadence] = {}
    quota: Quota | None = None
    status: Literal["documented", "example"]

    def entries(self) -> dict[str, Entry]:
        """One for every area and office, by URN."""
        found = {_urn(area, code): self._entry(area, code) for area in self.areas for code in self.offices}
        for area in self.comparing.areas:
            found |= {_urn(area, code): self._entry(area, code) for code in self.comparing.offices}
        for county in counties_in(self.areas):
            found |= {
                _urn(county, code): Entry(name=office.name, area=county, kinds=office.kinds, internal=True)
                for code, office in self.internal.items()
            }
        return found

    def _entry(self, area: str, code: str) -> Entry:
        office = self.offices[code]
        return Entry(
            name=office.name,
            area=area,
            kinds=office.kinds,
            cadence={k: c for k, c in (self.cadence | office.cadence).items() if k in office.kinds},
            quota=self.quota,
            kafka=office.kafka and area in self.areas,
        )


def _urn(area: str, office: str) -> str:
    return f"urn:cn:exchange:{area}:{office}"


def counties_in(areas: Sequence[str]) -> list[str]:
    """Codes of all counties in force that lie in these areas."""
    codes = [c for c in divisions.codes() if len(c) == divisions.COUNTY_DIGITS and not c.endswith("00")]
    return [code for code in codes if any(divisions.within(code, area) and code != area for area in areas)]


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
