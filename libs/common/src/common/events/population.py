"""Events that sources push about people, untrusted: the envelope, and the published JSON Schema of each kind."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from common.events.facts import Action, Kind
from common.events.kinds import KINDS, WITHOUT_VALUE
from common.events.pushed_values import VALUES, Identifier, IdText, Name, PushedStruct
from common.patterns import published

V = TypeVar("V")
TYPE_PREFIX: Final = "cn.eldercare.population."
Instant = Annotated[datetime, Meta(tz=True)]


class PushedPerson(PushedStruct, frozen=True, kw_only=True):
    id_number: IdText
    name: Name | None = None


class PopulationData(PushedStruct, Generic[V], frozen=True, kw_only=True):
    """`created` and `corrected` need a `value`; with `annulled` and `ended` any value is allowed and ignored. Every
    action except `created` needs `previous_event_id`."""

    action: Action
    previous_event_id: Identifier | None = None
    person: PushedPerson
    valid_from: date | None = None
    valid_to: date | None = None
    value: V | None = None


class PopulationEvent(msgspec.Struct, Generic[V], frozen=True, kw_only=True, gc=False):
    """A CloudEvent in structured form. Extension attributes are allowed and not stored."""

    specversion: Literal["1.0"]
    id: Identifier
    source: Annotated[str, Meta(min_length=1, max_length=128)]
    type: str
    time: Instant
    subject: str | None = None
    datacontenttype: Annotated[str, Meta(pattern=r"^application/([a-z.]+\+)?json")] | None = None
    data: PopulationData[V]


def population_type(kind: Kind) -> str:
    """The CloudEvents `type` of a kind."""
    return f"{TYPE_PREFIX}{kind}.v1"


def event_struct(kind: Kind) -> Any:
    """The type that decodes a structured event of a kind."""
    generic: Any = PopulationEvent
    return generic[VALUES[kind]]


KIND_OF_TYPE: Final[dict[str, Kind]] = {population_type(kind): kind for kind in KINDS}


def population_schemas() -> dict[Kind, dict[str, Any]]:
    """The JSON Schema 2020-12 of the structured event of each kind, made from the types that decode it."""
    return {kind: _schema(kind) for kind in KINDS}


def _schema(kind: Kind) -> dict[str, Any]:
    (reference,), definitions = msgspec.json.schema_components(
        [event_struct(kind)],
        ref_template="#/$defs/{name}",
    )
    definitions = published(definitions)
    event = definitions[reference["$ref"].rpartition("/")[2]]
    event["properties"]["type"] = {"const": population_type(kind)}
    _allow_ignored_value(definitions[event["properties"]["data"]["$ref"].rpartition("/")[2]])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:shouwang:schema:population:{kind}:v1",
        "title": population_type(kind),
        **reference,
        "$defs": definitions,
    }


def _allow_ignored_value(data: dict[str, Any]) -> None:
    """The value must fit the form of its kind only if the action uses it."""
    typed = data["properties"]["value"]["anyOf"]
    ignored = {"title": "Ignored", "description": "anything, with the actions annulled and ended"}
    data["properties"]["value"] = {"anyOf": [*typed, ignored], "default": None}
    data["if"] = {"properties": {"action": {"enum": [a for a in get_args(Action) if a not in WITHOUT_VALUE]}}}
    data["then"] = {"properties": {"value": {"anyOf": typed}}}
