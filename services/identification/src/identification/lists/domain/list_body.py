"""Read a list from the body of a request; a fault is reported with its JSON pointer."""

import re
from typing import Any, Final

import msgspec
from common.codes import divisions
from common.errors import Malformed, Problem
from rules.form.policy import ItemPolicy, PolicyError, PolicyList, from_event

LEVELS_MAX: Final = 40  # the conditions of an item begin at the sixth level
DETAIL_CHARACTERS_MAX: Final = 500


def read_list(body: dict[str, Any]) -> PolicyList:
    """Return the list in the body of a request. Raises Malformed (`too_deep`, `malformed`) with the fault."""
    if _depth(body, LEVELS_MAX + 1) > LEVELS_MAX:
        raise Malformed(f"nested deeper than {LEVELS_MAX} levels", code="too_deep")
    try:
        policy_list = from_event(body)
    except PolicyError as error:
        raise _not_a_list(_first_fault(body, str(error))) from error
    if not divisions.known(policy_list.jurisdiction):
        raise _not_a_list(Problem(pointer="/jurisdiction", code="unknown_division", detail="no such area"))
    return policy_list


def _not_a_list(problem: Problem) -> Malformed:
    return Malformed("this is not a list", problems=[problem])


def _depth(body: Any, limit: int) -> int:
    """Return the number of levels, counted up to `limit`. Plain values inside the deepest object or array are a level,
    too."""
    level, depth = [body], 0
    while level and depth < limit:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        depth, level = depth + 1, inner
    return depth


def _first_fault(body: dict[str, Any], fault: str) -> Problem:
    """Return the first fault of a list. It reads the items one by one, because the message `fault` names no item."""
    items = body.get("items")
    for code, item in items.items() if isinstance(items, dict) else ():
        try:
            msgspec.convert(item, ItemPolicy)
        except msgspec.ValidationError as error:
            return _problem(f"/items/{code}", str(error))
    return _problem("", fault)


def _problem(above: str, fault: str) -> Problem:
    """Return a fault with its JSON pointer. `above`: the pointer of the examined part.

    `fault` is a message of msgspec: `… - at `$.versions[0].citation``.
    """
    detail, _, path = fault.partition(" - at `$")
    pointer = re.sub(r"\[(.*?)\]|\.", lambda m: f"/{m.group(1)}" if m.group(1) else "/", path.rstrip("`"))
    return Problem(pointer=above + pointer, code="malformed", detail=detail[:DETAIL_CHARACTERS_MAX])
