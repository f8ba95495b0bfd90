"""Generates the JSON Schemas of events, policy files and table feeds, and examples of events."""

import importlib
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import yaml
from common.codes import id_number
from common.events import all_events
from common.events.base import Event
from common.events.population import TYPE_PREFIX, population_schemas
from common.patterns import published
from rules.form.policy import policy_schema
from shell.settings import repository_root

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schema(cls: type[Event]) -> dict[str, Any]:
    """Return the schema of the body of one event type, without external references."""
    schema: dict[str, Any] = msgspec.json.schema(cls)
    return {"$schema": DIALECT, "$id": f"urn:shouwang:schema:{cls.wire_type()}", "title": cls.__name__, **schema}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of all internal events and of the events that sources push, by wire type."""
    found = {cls.wire_type(): event_schema(cls) for cls in all_events().values()}
    for kind, schema in population_schemas().items():
        wire_type = f"{TYPE_PREFIX}{kind}.v1"
        found[wire_type] = {"$schema": DIALECT, "$id": f"urn:shouwang:schema:{wire_type}", **schema}
    return found


def policy_file_schema() -> dict[str, Any]:
    return policy_schema()


def feed_schema() -> dict[str, Any]:
    """The schema of the files in contracts/tables."""
    feed = importlib.import_module("ingestion.exchange.feeds").Feed
    return {"$schema": DIALECT, "title": "Feed", **published(msgspec.json.schema(feed))}


_STRINGS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T01:30:00Z",
    "uuid": str(UUID(int=1)),
}
_NAMED = {
    "person_id": "11111111-1111-8111-8111-111111111111",
    "task_id": "22222222-2222-5222-8222-222222222222",
    "event_id": "33333333-3333-8333-8333-333333333333",
    "division": "530302",
    "jurisdiction": "530302",
    "item": "longevity_allowance",
    "provider": "52530302MJY0000010",
    "service_month": "2026-11",
}
_NUMBER = id_number.make("530302", date(1946, 5, 22), 990)  # of no known person
# Values of pushed events, and the properties that no valid event has beside them.
_PUSHED = {
    "action": "created",
    "id": "example-1",
    "datacontenttype": "application/json",
    "id_number": _NUMBER,
    "members": _NUMBER,
    "new_id_number": id_number.make("530302", date(1946, 5, 22), 992),
    "certificate_no": f"{_NUMBER}11",
    "name": "合成人",
    "holder_name": "合成人",
    "hukou_division": "530302",
    "birth_date": "1946-05-22",
    "phone": "0874-0000000",
    "account_no": "6200000000000000",
    "scale": "gbt42195",
    "scale_version": "2022",
    "code": "2",
}
_LEFT_OUT = frozenset({"previous_event_id", "valid_to", "subject", "support", "same_person_as"})


def examples() -> dict[str, Any]:
    """Return a synthetic valid event per wire type: the body of an internal event, or a whole pushed event."""
    found = {wire_type: example(schema) for wire_type, schema in event_schemas().items()}
    for kind, schema in population_schemas().items():
        event = _without(example(schema, texts=_NAMED | _PUSHED), _LEFT_OUT)
        found[f"{TYPE_PREFIX}{kind}.v1"] = event | {"source": _source_of(kind)}
    return found


def _without(value: Any, names: frozenset[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without(inner, names) for name, inner in value.items() if name not in names}


def _source_of(kind: str) -> str:
    """Return the first source of Qujing whose statements of this kind have rank 1."""
    content = yaml.safe_load((repository_root() / "contracts" / "sources.yaml").read_text(encoding="utf-8"))
    office = next(name for name, entry in content["offices"].items() if entry["kinds"].get(kind) == 1)
    return f"urn:cn:exchange:530300:{office}"


def example(
    schema: dict[str, Any], name: str = "", root: dict[str, Any] | None = None, texts: Mapping[str, str] = _NAMED
) -> Any:
    """Return a synthetic instance of a schema with every property. Each call gives the same instance.

    `name`: the property that has this schema. `root`: the document for references; by default the schema itself.
    `texts`: values of properties by name. The instance is not valid if another text must match a pattern.
    """
    root = root or schema
    if "$ref" in schema:
        return example(_target(schema["$ref"], root), name, root, texts)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            options = [option for option in schema[union] if option.get("type") != "null"]
            return example(options[0], name, root, texts)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return texts.get(name) if texts.get(name) in schema["enum"] else schema["enum"][0]
    return _plain(schema, name, root, texts)


def _target(ref: str, root: dict[str, Any]) -> dict[str, Any]:
    target: Any = root
    for part in ref.removeprefix("#/").split("/"):
        target = target[part]
    found: dict[str, Any] = target
    return found


def _plain(schema: dict[str, Any], name: str, root: dict[str, Any], texts: Mapping[str, str]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: example(value, key, root, texts) for key, value in properties.items()}
        case "array":
            return _array(schema, name, root, texts)
        case "integer":
            return max(1, int(schema.get("minimum", 1)))
        case "boolean":
            return True
        case "string":
            return texts.get(name) or _STRINGS.get(schema.get("format", ""), "example")
    return None


def _array(schema: dict[str, Any], name: str, root: dict[str, Any], texts: Mapping[str, str]) -> list[Any]:
    if "prefixItems" in schema:
        return [example(value, name, root, texts) for value in schema["prefixItems"]]
    items = schema.get("items")
    return [example(items, name, root, texts)] if isinstance(items, dict) else []
