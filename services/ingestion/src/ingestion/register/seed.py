"""Reads the seed of the register, `contracts/sources.yaml`: the entries of sources and the rules of standing."""

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal, get_args

import msgspec
import yaml
from common.codes import divisions
from common.events.facts import Kind
from pydantic import Field, model_validator
from shell.http.params import DivisionCode
from shell.settings import repository_root

from ingestion.domain.silence import Cadence
from ingestion.domain.standing import Rules, Treatment
from ingestion.register.shapes import Entry, Quota, Rank, Strict

SEED: Final = "contracts/sources.yaml"


class _Office(Strict):
    name: str
    kinds: dict[Kind, Rank]
    cadence: dict[Kind, Cadence] = Field(default={})
    kafka: bool = False


class _Comparing(Strict):
    """Offices that compare people across the areas below them."""

    areas: list[DivisionCode]
    offices: list[str]


class _Standing(Strict):
    """The section `standing`. `domain.standing.Rules` explains its fields."""

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


class SourcesFile(Strict):
    """The form of `contracts/sources.yaml`. Each of `areas` has all `offices`, and each county in them has all
    `internal` ones. Each area of `comparing` has the offices that are named there. `cadence` and `quota` apply to every
    office but the internal ones; an office may override its cadence."""

    standing: _Standing
    areas: list[DivisionCode]
    comparing: _Comparing
    internal: dict[str, _Office]
    offices: dict[str, _Office]
    cadence: dict[Kind, Cadence] = Field(default={})
    quota: Quota | None = None
    status: Literal["documented", "example"]

    def entries(self) -> dict[str, Entry]:
        """The entry of each office in each area, by URN."""
        found: dict[str, Entry] = {}
        for area in self.areas:
            found |= {_urn(area, code): self._entry(area, code) for code in self.offices}
        for area in self.comparing.areas:
            found |= {_urn(area, code): self._entry(area, code) for code in self.comparing.offices}
        for county in counties_in(self.areas):
            found |= {_urn(county, code): _internal(county, office) for code, office in self.internal.items()}
        return found

    def _entry(self, area: str, code: str) -> Entry:
        office = self.offices[code]
        cadence = self.cadence | office.cadence
        return Entry(
            name=office.name,
            area=area,
            kinds=office.kinds,
            cadence={kind: cadence[kind] for kind in cadence if kind in office.kinds},
            quota=self.quota,
            kafka=office.kafka and area in self.areas,
        )


def _internal(county: str, office: _Office) -> Entry:
    return Entry(name=office.name, area=county, kinds=office.kinds, internal=True)


@cache
def seed() -> dict[str, Entry]:
    """The entries of the seed file, by URN."""
    return _file().entries()


@cache
def standing_rules() -> Rules:
    """The rules of the seed file: which source may state which fact about which person."""
    return msgspec.convert(_file().standing.model_dump(), Rules)


def counties_in(areas: Sequence[str]) -> list[str]:
    """Codes of all counties in force in these areas. An area may be a county itself."""
    codes = [c for c in divisions.codes() if len(c) == divisions.COUNTY_DIGITS and not c.endswith("00")]
    return [code for code in codes if any(divisions.within(code, area) for area in areas)]


@cache
def _file() -> SourcesFile:
    text = (repository_root() / SEED).read_text(encoding="utf-8")
    return SourcesFile.model_validate(yaml.safe_load(text))


def _urn(area: str, office: str) -> str:
    return f"urn:cn:exchange:{area}:{office}"
