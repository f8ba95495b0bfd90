"""Lists the fields of an event that can have a column, with their types."""

from typing import Any, Final

import msgspec
from common.events.facts import Kind
from common.events.pushed_values import VALUES

_BASE: Final = {
    "id": "text",
    "time": "instant",
    "action": "code",
    "previous_event_id": "text",
    "valid_from": "date",
    "valid_to": "date",
    "valid_until": "last_day",
    "person.id_number": "code",
    "person.name": "text",
}
_NAMED: Final = {
    "division": "division",
    "hukou_division": "division",
    "certificate_no": "code",
    "household_no": "code",
    "phone": "code",
    "account_no": "code",
    "document_no": "code",
}
ENTRIES_OF_A_ROW: Final = 2  # of a list of records, such as contacts


def fields_of(kind: Kind) -> dict[str, str]:
    """Field → type, for every field of a kind that can have a column."""
    return dict(_BASE) | _fields(VALUES[kind], "value")


def _fields(form: Any, at: str) -> dict[str, str]:
    """Field → type, for all fields of a form. `at`: the name of the form in the event, such as `value`.

    A list of records has the fields `<list>.0.<field>` and `<list>.1.<field>`; a dictionary has none."""
    found: dict[str, str] = {}
    for each in msgspec.structs.fields(form):
        name, inner = f"{at}.{each.encode_name}", _inner(each.type)
        entry = getattr(inner, "item_type", None)
        if isinstance(entry, msgspec.inspect.StructType):
            for n in range(ENTRIES_OF_A_ROW):
                found |= _fields(entry.cls, f"{name}.{n}")
        elif not isinstance(inner, msgspec.inspect.DictType):
            found[name] = _NAMED.get(each.encode_name) or _type(inner)
    return found


def required_fields(kind: Kind) -> list[str]:
    """The names of the fields that the value of a kind must have."""
    return [f"value.{f.encode_name}" for f in msgspec.structs.fields(VALUES[kind]) if f.required]


def _inner(declared: Any) -> msgspec.inspect.Type:
    """The type of a value that is not None."""
    info = msgspec.inspect.type_info(declared)
    if isinstance(info, msgspec.inspect.UnionType):
        info = next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType))
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _type(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.DateType():
            return "date"
        case msgspec.inspect.IntType():
            return "whole"
        case msgspec.inspect.FloatType():
            return "number"
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            return "list"
        case msgspec.inspect.LiteralType():
            return "code"
        case _:
            return "text"
