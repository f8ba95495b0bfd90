"""A source's entry in the register, as the HTTP routes and the seed file give it."""

from typing import Annotated, Literal, get_args

from common.codes import divisions
from common.events.facts import Kind
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from shell.http.params import ONE_LINE, DivisionCode, PastDay

from ingestion.domain.silence import Cadence

Rank = Annotated[int, Field(ge=1, le=9)]
JwkName = Annotated[str, Field(max_length=40, pattern=ONE_LINE)]
JwkValue = Annotated[str, Field(max_length=1_000, pattern=ONE_LINE)]
KINDS_MAX = len(get_args(Kind))
_CURVES = {("EC", "P-256"), ("OKP", "Ed25519")}


class Strict(BaseModel):
    """A model that converts no types, accepts no unknown fields and never changes after validation."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SourceKey(Strict):
    """A public key (JWK, EC P-256 or Ed25519), valid from `valid_from` until before `valid_to`. Two keys may overlap,
    so that a source can change its key."""

    kid: str = Field(min_length=1, max_length=64, pattern=ONE_LINE)
    jwk: dict[JwkName, JwkValue] = Field(max_length=20)
    valid_from: PastDay
    valid_to: PastDay | None = None

    @field_validator("jwk")
    @classmethod
    def _public(cls, jwk: dict[str, str]) -> dict[str, str]:
        if (jwk.get("kty"), jwk.get("crv")) not in _CURVES or "d" in jwk:
            raise ValueError("a public JWK of EC P-256 or Ed25519 is needed")
        return jwk


class Quota(Strict):
    """The largest number of events accepted from a source. Deaths and signs of life are accepted above it too."""

    per_minute: int = Field(ge=1, le=10_000_000)
    per_day: int = Field(ge=1, le=1_000_000_000)


class Feed(Strict):
    """The source reports every change of `kind` in `division`, from `since` until before `until`. There, a
    missing fact of this kind means "no"."""

    kind: Kind
    division: DivisionCode
    since: PastDay
    until: PastDay | None = None


class Entry(Strict):
    """The entry of a source.

    `kinds`: the kinds that the source may send, each with its rank (1 is the strongest). A changed rank applies to
    events that begin to count later. `areas`: the areas of the people about whom it may state facts; `area` if empty.
    `cadence`: the longest expected time between two events of a kind. `tells_days`: the source reports a count for
    every day; a missing report is a gap. `kafka`: the source has its own topic. `internal`: only the platform writes as
    this source."""

    name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    area: DivisionCode
    kinds: dict[Kind, Rank] = Field(max_length=KINDS_MAX)
    areas: list[DivisionCode] = Field(default=[], max_length=100)
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
    def _divisions_exist(self) -> "Entry":
        for code in (self.area, *self.areas, *(feed.division for feed in self.feeds)):
            if not divisions.known(code):
                raise ValueError(f"no such division: {code}")
        return self

    @model_validator(mode="after")
    def _kinds_are_permitted(self) -> "Entry":
        named = {*self.cadence, *(feed.kind for feed in self.feeds)}
        if strange := named - set(self.kinds):
            raise ValueError(f"not among its kinds: {', '.join(sorted(strange))}")
        return self

    @model_validator(mode="after")
    def _keys_suffice(self) -> "Entry":
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same kid")
        if self.signs == "signature" and not self.keys:
            raise ValueError("a source that must sign needs a key")
        return self
