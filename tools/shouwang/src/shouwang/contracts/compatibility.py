"""Finds incompatible changes of a JSON Schema within a major version, for the contract tests.

No field may be removed, get another type or become required, and no enum may become narrower. An added optional field,
a wider enum or a new event is compatible. It does not compare `const`, patterns, limits and the values of maps. A new
enum where the old schema has none is not found.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

Schema = dict[str, Any]
DEPTH_MAX = 12  # schemas may be recursive


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return one sentence with the path for each incompatible difference; empty if the new schema is compatible."""
    return list(_compare(_Pair(old, new, old, new).resolved(), "", 0))


class _Pair(NamedTuple):
    """The old and the new schema at one path, with the documents that contain them."""

    old: Schema
    new: Schema
    old_root: Schema
    new_root: Schema

    def at(self, old: Schema, new: Schema) -> Self:
        """The pair of two schemas in the same documents."""
        return self._replace(old=old, new=new).resolved()

    def resolved(self) -> Self:
        """The pair with both `$ref` replaced by their targets."""
        return self._replace(old=_resolve(self.old, self.old_root), new=_resolve(self.new, self.new_root))


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _compare(pair: _Pair, path: str, depth: int) -> Iterator[str]:
    if depth > DEPTH_MAX:
        return
    yield from _compare_values(pair, path)
    yield from _compare_required(pair, path)
    yield from _compare_properties(pair, path, depth)
    old_items, new_items = pair.old.get("items"), pair.new.get("items")
    if isinstance(old_items, dict) and isinstance(new_items, dict):
        yield from _compare(pair.at(old_items, new_items), f"{path}/*", depth + 1)
    yield from _compare_options(pair, path, depth)


def _compare_values(pair: _Pair, path: str) -> Iterator[str]:
    missing = _types(pair.old, pair.old_root) - _types(pair.new, pair.new_root)
    if missing:
        yield f"{path or '/'}: no longer {', '.join(sorted(missing))}"
    old_enum = pair.old.get("enum", ())
    new_enum = pair.new.get("enum") or old_enum
    if set(map(str, old_enum)) - set(map(str, new_enum)):
        yield f"{path or '/'}: the enum is narrower"


def _types(schema: Schema, root: Schema) -> set[str]:
    """The JSON types that the schema or one of its alternatives allows."""
    found: set[str] = set()
    for option in [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]:
        kind = _resolve(option, root).get("type")
        if isinstance(kind, list):
            found |= set(kind)
        elif kind:
            found.add(kind)
    return found


def _compare_required(pair: _Pair, path: str) -> Iterator[str]:
    added = set(pair.new.get("required", ())) - set(pair.old.get("required", ()))
    for name in sorted(added):
        yield f"{path}/{name}: newly required"


def _compare_properties(pair: _Pair, path: str, depth: int) -> Iterator[str]:
    new_properties = pair.new.get("properties", {})
    for name, old in pair.old.get("properties", {}).items():
        if name in new_properties:
            yield from _compare(pair.at(old, new_properties[name]), f"{path}/{name}", depth + 1)
        else:
            yield f"{path}/{name}: removed"


def _compare_options(pair: _Pair, path: str, depth: int) -> Iterator[str]:
    """Compare the alternatives (`anyOf`, `oneOf`) by title or type. A missing alternative is incompatible.

    If the new schema has no alternatives at all, nothing is compared here.
    """
    for union in ("anyOf", "oneOf"):
        options = {_name(option): option for option in _options(pair.new, union, pair.new_root)}
        for old in _options(pair.old, union, pair.old_root):
            name = _name(old)
            if name in options:
                yield from _compare(pair.at(old, options[name]), f"{path}({name})", depth + 1)
            elif options:
                yield f"{path or '/'}: the alternative {name} is gone"


def _options(schema: Schema, union: str, root: Schema) -> list[Schema]:
    return [_resolve(option, root) for option in schema.get(union, [])]


def _name(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("type") or schema.get("const"))
