"""Generates the JSON Schemas of events, policy files and table feeds, and an example of a schema."""

import importlib
from typing import Any
from uuid import UUID

import msgspec
from common.events import all_events
from common.events.base import Event
from common.events.population import population_schemas
from common.patterns import published
from rules.form.policy import policy_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schema(cls: type[Event]) -> dict[str, Any]:
    """Return the schema of the body of one event type, without external references."""
    schema: dict[str, Any] = msgspec.json.schema(cls)
    return {"$schema": DIALECT, "$id": f"urn:shouwang:schema:{cls.wire_type()}", "title": cls.__name__, **schema}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of all internal events and of the events that sources push, by wire type."""
    found = {cls.wire_type(): event_schema(cls) for cls in all_events().values()}
    for kind, schema in population_schemas().items():
        wire_type = f"cn.eldercare.population.{kind}.v1"
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


def example(schema: dict[str, Any], name: str = "", root: dict[str, Any] | None = None) -> Any:
    """Return a synthetic instance of a schema with every property. Each call gives the same instance.

    `name`: the property that has this schema. `root`: the document for references; by default the schema itself.
    """
    root = root or schema
    if "$ref" in schema:
        return example(_target(schema["$ref"], root), name, root)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            options = [option for option in schema[union] if option.get("type") != "null"]
            return example(options[0], name, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    return _plain(schema, name, root)


def _target(ref: str, root: dict[str, Any]) -> dict[str, Any]:
    target: Any = root
    for part in ref.removeprefix("#/").split("/"):
        target = target[part]
    found: dict[str, Any] = target
    return found


def _plain(schema: dict[str, Any], name: str, root: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: example(value, key, root) for key, value in properties.items()}
        case "array":
            return _array(schema, name, root)
        case "integer":
            return max(1, int(schema.get("minimum", 1)))
        case "boolean":
            return True
        case "string":
            return _STRINGS.get(schema.get("format", ""), _NAMED.get(name, "example"))
    return None


def _array(schema: dict[str, Any], name: str, root: dict[str, Any]) -> list[Any]:
    if "prefixItems" in schema:
        return [example(value, name, root) for value in schema["prefixItems"]]
    items = schema.get("items")
    return [example(items, name, root)] if isinstance(items, dict) else []
