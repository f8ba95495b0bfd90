"""A situation: the value of every circumstance of a person at one moment, and the tests that read it.

A slot is the index of a circumstance in a situation, and of its row in the table.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from common.events.facts import Kind

from rules.form.circumstances import CIRCUMSTANCES

# One value per row of the table, in its order. None: no fact gives a value.
Situation = tuple[Any, ...]


class ReadTest(NamedTuple):
    """A test of a condition, with the slot and the kind of fact of its row. The other fields are those of `Test`."""

    slot: int
    kind: Kind
    holds: Callable[[Any, Any], bool | None]
    text: Callable[[Any], str]
    denied: Callable[[Any, Any], bool]


TEST: Final[Mapping[str, ReadTest]] = {
    name: ReadTest(slot, row.fact.code, *test)
    for slot, row in enumerate(CIRCUMSTANCES)
    for name, test in row.tests.items()
}
SLOTS: Final[Mapping[str, int]] = {row.name: slot for slot, row in enumerate(CIRCUMSTANCES)}
# The rows that code treats in its own way.
HUKOU, RESIDENCE, AGE = SLOTS["hukou"], SLOTS["residence"], SLOTS["age"]
ABILITY, PLACE = SLOTS["ability"], SLOTS["place"]
ELSEWHERE, WISHES = SLOTS["elsewhere"], SLOTS["wishes"]
REST: Final = range(AGE, len(CIRCUMSTANCES))  # all slots after the two places
SEVERAL: Final = tuple(slot for slot, row in enumerate(CIRCUMSTANCES) if row.element is not None)
KIND_NAMES: Final[Mapping[str, str]] = {row.fact.code: row.fact.name for row in CIRCUMSTANCES}
KINDS_AT_HUKOU: Final = frozenset(row.fact.code for row in CIRCUMSTANCES if row.fact.at_hukou)
NOTHING_KNOWN: Final[Situation] = (None,) * len(CIRCUMSTANCES)


def with_value(situation: Situation, slot: int, value: Any) -> Situation:
    """Return the situation with another value of one circumstance."""
    return (*situation[:slot], value, *situation[slot + 1 :])
