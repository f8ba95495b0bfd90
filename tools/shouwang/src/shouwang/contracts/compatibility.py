"""What may not change within a major version: no field removed, retyped or newly required, no enum narrowed.

An added optional field, a widened enum or a new event is compatible.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Every incompatible difference, with the path it is at."""
    return list(_compare(_resolve(old, old), _resolve(new, new), old, new, "", 0))


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _types(schema: Schema, root: Schema) -> set[str]:
    found: set[str] = set()
    for option in [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]:
        kind = _resolve(option, root).get("type")
        found |= set(kind) if isinstance(kind, list) else {kind} if kind else set()
    return found


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, depth: int) -> Iterator[str]:
    if depth > 12:  # recursive schemas
        return
    gone = _types(old, old_root) - _types(new, new_root)
    if gone:
        yield f"{path or '/'}: no longer {', '.join(sorted(gone))}"
    if set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum") or old.get("enum", ()))):
        yield f"{path or '/'}: the enum is narrower"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}/{name}: newly required"
    new_properties = new.get("properties", {})
    for name, was in old.get("properties", {}).items():
        if name not in new_properties:
            yield f"{path}/{name}: removed"
            continue
        now = new_properties[name]
        yield from _compare(
            _resolve(was, old_root), _resolve(now, new_root), old_root, new_root, f"{path}/{name}", depth + 1
        )
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _compare(
            _resolve(old["items"], old_root),
            _resolve(new["items"], new_root),
            old_root,
            new_root,
            f"{path}/*",
            depth + 1,
        )
    yield from _compare_options(old, new, old_root, new_root, path, depth)


def _compare_options(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, depth: int
) -> Iterator[str]:
    """Alternatives are matched by their title or type: one that has gone is breaking."""
    for union in ("anyOf", "oneOf"):
        now = {_name(_resolve(o, new_root)): _resolve(o, new_root) for o in new.get(union, [])}
        for option in old.get(union, []):
            was = _resolve(option, old_root)
            name = _name(was)
            if name not in now and new.get(union):
                yield f"{path or '/'}: the alternative {name} is gone"
            elif name in now:
                yield from _compare(was, now[name], old_root, new_root, f"{path}({name})", depth + 1)


def _name(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("type") or schema.get("const"))
