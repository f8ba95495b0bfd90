"""Finds all faults of an event that did not decode. A fault has a pointer and never contains a value."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import jsonschema_rs
import msgspec
from common.events.population import population_schemas

from ingestion.domain.problems import Fault, fault

FAULTS_MAX: Final = 20
DEPTH_MAX: Final = 64
_PATH = re.compile(r"at `\$([^`]*)`")


@cache
def _validators() -> dict[str, jsonschema_rs.Draft202012Validator]:
    return {
        schema["title"]: jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        for schema in population_schemas().values()
    }


def explain(raw: bytes | msgspec.Raw, error: Exception) -> list[Fault]:
    """All faults of an event that did not decode, at most FAULTS_MAX."""
    try:
        instance = msgspec.json.decode(raw)
    except RecursionError:
        return [fault("", "too_deep")]
    except ValueError:
        return [fault("", "not_json")]
    if not isinstance(instance, dict):
        return [fault("", "not_an_object")]
    if _depth(instance) > DEPTH_MAX:
        return [fault("", "too_deep")]
    return _schema_faults(instance) or [_from_decoder(error)]


def _schema_faults(instance: dict[str, Any]) -> list[Fault]:
    type_ = instance.get("type")
    validator = _validators().get(type_) if isinstance(type_, str) else None
    if validator is None:
        return [fault("/type", "type_unknown" if "type" in instance else "required")]
    try:
        found = [f for wrong in validator.iter_errors(instance) for f in _faults_of(wrong)]
    except ValueError:  # numbers beyond what the validator can hold
        return []
    return found[:FAULTS_MAX]


def _depth(value: Any) -> int:
    """Levels of nesting, without recursion; it stops above DEPTH_MAX."""
    depth, level = 0, [value]
    while level and depth <= DEPTH_MAX:
        depth += 1
        level = [inner for outer in level for inner in _children(outer)]
    return depth


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _from_decoder(error: Exception) -> Fault:
    """The fault that only the decoder finds: a day such as 30 February, or an instant without its offset."""
    text = str(error)
    path = _PATH.search(text)
    return fault(_pointer_of(path[1]) if path else "", _code_of_message(text))


def _pointer_of(path: str) -> str:
    """The JSON pointer to a place in an event. `path`: the place as the decoder writes it, such as `.data.value`."""
    return "".join(f"/{part}" for part in re.findall(r"[A-Za-z_]+|\d+", path))


def _code_of_message(text: str) -> str:
    if "datetime" in text:
        return "instant"
    return "date" if "date" in text else "schema"


_CODES: Final[Mapping[str, str]] = {
    "Type": "wrong_type",
    "Enum": "not_in_list",
    "Constant": "not_in_list",
    "Pattern": "pattern",
    "MinLength": "length",
    "MaxLength": "length",
    "Minimum": "range",
    "Maximum": "range",
    "MinItems": "items",
    "MaxItems": "items",
}


def pointer(path: list[str | int]) -> str:
    """The JSON pointer (RFC 6901) to a place, given by the names and indexes on the way to it."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _field(path: list[str | int], name: str) -> str:
    """A pointer to a named field. A name that could contain an ID number is left out."""
    is_suspect = len(name) > 40 or re.search(r"\d{6}", name)
    return pointer(path if is_suspect else [*path, name])


def _faults_of(wrong: Any) -> list[Fault]:
    """The faults that one error of the schema validator means."""
    kind, path = wrong.kind, list(wrong.instance_path)
    name = type(kind).__name__
    if name == "AnyOf":
        return _faults_of_nullable(kind, path)
    if name == "Required":
        return [fault(pointer([*path, kind.property]), "required")]
    if name == "AdditionalProperties":
        return [fault(_field(path, key), "unknown_field") for key in kind.unexpected]
    return [fault(pointer(path), _code_of_kind(name, kind))]


def _code_of_kind(name: str, kind: Any) -> str:
    if name == "Format":
        return "instant" if kind.format == "date-time" else "date"
    return _CODES.get(name, "schema")


def _faults_of_nullable(kind: Any, path: list[str | int]) -> list[Fault]:
    """The faults of a field that may be null. The fault "not null" does not help the sender and is left out."""
    found = []
    for branch in kind.context:
        if len(branch) == 1 and _is_only_not_null(branch[0], path):
            continue
        for wrong in branch:
            found += _faults_of(wrong)
    return found or [fault(pointer(path), "wrong_type")]


def _is_only_not_null(wrong: Any, path: list[str | int]) -> bool:
    return type(wrong.kind).__name__ == "Type" and list(wrong.instance_path) == path
