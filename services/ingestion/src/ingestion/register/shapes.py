"""The entry of a source in the register, and the form of its seed file `contracts/sources.yaml`."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from common.codes import divisions
from common.events.facts import Kind
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from shell.http.params import ONE_LINE, DivisionCode, PastDay

from ingestion.domain.silence import Cadence
from ingestion.domain.standing import Treatment

Rank = Annotated[int, Field(ge=1, le=9)]
Division = DivisionCode


JwkName = Annotated[str, Field(max_length=40, pattern=ONE_LINE)]
JwkValue = Annotated[str, Field(max_length=1_000, pattern=ONE_LINE)]
KINDS_MAX = len(get_args(Kind))


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SourceKey(_Strict):
    """A public key (JWK, EC P-256 or Ed25519) on its days. Two may hold at once, so that keys can be changed."""

    kid: str = Field(min_length=1, max_length=64, pattern=ONE_LINE)
    jwk: dict[JwkName, JwkValue] = Field(max_length=20)
    valid_from: PastDay
    valid_to: PastDay | None = None

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
    since: PastDay
    until: PastDay | None = None


class Entry(_Strict):
    """`kinds`: what the source may say, and its rank there (1 is the strongest); a change of rank holds for what comes
    later. `areas`: whose people it knows; its own where none are given. `cadence`: how often something of a kind
    comes at least. `tells_days`: it tells its count of every day, and the lack of it is a gap. `kafka`: the source has
    a topic of its own. `internal`: only the platform itself writes under this name."""

    name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    area: Division
    kinds: dict[Kind, Rank] = Field(max_length=KINDS_MAX)
    areas: list[Division] = Field(default=[], max_length=100)
    cadence: dict[Kind, Cadence] = Field(default={}, max_length=KINDS_MAX)
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
    """The treatment of an event whose source does not belong to the person (`domain.standing.Rules`)."""

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
