"""From the body of a request to a list, with a pointer to what is wrong with it."""

import re
from typing import Any, Final

import msgspec
from common.codes import divisions
from common.errors import Malformed, Problem
from rules.form.policy import ItemPolicy, PolicyError, PolicyList, from_event

NESTED_MAX: Final = 40  # an item's conditions begin at the sixth level


def read_list(body: dict[str, Any]) -> PolicyList:
    """Raises Malformed with a pointer to the fault."""
    if _depth(body, NESTED_MAX + 1) > NESTED_MAX:
        raise Malformed(f"nested deeper than {NESTED_MAX} levels", code="too_deep")
    try:
        policy_list = from_event(body)
    except PolicyError as error:
        raise Malformed("this is not a list", problems=[_first_fault(body, str(error))]) from error
    if not divisions.known(policy_list.jurisdiction):
        fault = Problem(pointer="/jurisdiction", code="unknown_division", detail="no such area")
        raise Malformed("this is not a list", problems=[fault])
    return policy_list


def _depth(body: Any, limit: int) -> int:
    """Levels of objects and arrays, counted up to `limit`."""
    level, depth = [body], 0
    while level and depth < limit:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict | list):
                inner += value.values() if isinstance(value, dict) else value
        depth, level = depth + 1, inner
    return depth


def _first_fault(body: dict[str, Any], fault: str) -> Problem:
    """The items are read one by one, because the whole list's fault does not say in which of them it is."""
    items = body.get("items")
    for code, item in items.items() if isinstance(items, dict) else ():
        try:
            msgspec.convert(item, ItemPolicy)
        except msgspec.ValidationError as error:
            return _problem(f"/items/{code}", str(error))
    return _problem("", fault)


def _problem(above: str, fault: str) -> Problem:
    """msgspec says `… - at `$.versions[0].citation``."""
    detail, _, path = fault.partition(" - at `$")
    pointer = re.sub(r"\[(.*?)\]|\.", lambda m: f"/{m.group(1)}" if m.group(1) else "/", path.rstrip("`"))
    return Problem(pointer=above + pointer, code="malformed", detail=detail[:500])
